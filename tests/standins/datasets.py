"""Stands in for datasets: loads the Parquet files that a dataset's card names."""

from typing import Any

import pyarrow.parquet as pq
from _files import fetch
from huggingface_hub import DatasetCard


class Split:
    """One split, read whole."""

    def __init__(self, path: Any) -> None:
        self.table = pq.ParquetFile(path).read()  # read_table would import pandas
        self.num_rows, self.column_names = self.table.num_rows, self.table.column_names

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.table.slice(index, 1).to_pylist()[0]


def load_dataset(repo_id: str, config: str, split: str | None = None, revision: str | None = None) -> Any:
    """Load the splits of a config, or one of them."""
    card = DatasetCard(fetch(repo_id, "README.md", revision, "dataset").read_text(encoding="utf-8"))
    configs = {entry["config_name"]: entry["data_files"] for entry in card.data.to_dict()["configs"]}
    found = {f["split"]: Split(fetch(repo_id, f["path"], revision, "dataset")) for f in configs[config]}
    return found if split is None else found[split]
