import cProfile, pstats
from tests.test_publish_matrix import *
def test_prof(desk, bundles):
    desk.publish(only=("dataset","base"))
    desk.hub.repos.clear(); desk.hub.objects.clear()
    for p in desk.folder.glob("*publication*"): p.unlink()
    pr=cProfile.Profile(); pr.enable(); desk.publish(only=("dataset","base")); pr.disable()
    pstats.Stats(pr).sort_stats("cumtime").print_stats(45)
    assert 0
