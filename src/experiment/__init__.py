"""The experiment itself: pretrain, dataset, train, evaluate. The only room that needs torch."""
