"""What is checked before anything is sent or loaded: names, license, packages, base model, metadata, rights."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Collection

import httpx2
import huggingface_hub as hf
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import hf_raise_for_status, validate_repo_id

from src.documents.context import Context, RepoNames
from src.documents.templates import unused_words
from src.record.checkpoint import left_out
from src.record.errors import InputError, show
from src.record.files import read_text
from src.record.load import Record
from src.record.publication import Role

from .account import Account
from .errors import Refused
from .plan import RepoPlan
from .remote import Hub
from .repository import Repository

TAG = re.compile(r"(?!main$)(?=.{1,96}$)[A-Za-z0-9]+([._-][A-Za-z0-9]+)*(?<!\.lock)")
"""What a tag may be called: what the receipt can hold and git can take."""

SPLIT, FOLDER = re.compile(r"\w+(\.\w+)*"), re.compile(r"[^*?\[\]{}<>:|\\]+")
"""What load_dataset takes as the name of a split, and what it reads as the name of a folder and not as a pattern."""

NEEDED = ("torch", "transformers", "peft", "datasets")
"""Packages that load what is published."""


def check_packages() -> None:
    """Refuse to go on without the packages that loading needs, without importing any."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        install = 'Run `pip install -c constraints.txt -e ".[publish]"`, or give --no-load.'
        raise Refused(f"{', '.join(missing)} not installed, so what would be sent cannot be loaded. {install}")


def check_names(names: RepoNames, tag: str | None) -> None:
    """Refuse names of repositories and of the tag that the Hub cannot take."""
    try:
        for name in filter(None, (names.model, names.dataset, names.base, names.space)):
            validate_repo_id(name)
    except HFValidationError as error:
        raise InputError("the project config", str(error)) from None
    if names.model == names.base:
        raise InputError("the project config", f"model_repo: {names.model} is the base model's name too.")
    if tag is not None and not TAG.fullmatch(tag):
        raise InputError("--tag", f"{show(repr(tag))} cannot be a tag. Use letters, digits, `.`, `_` and `-`.")


def check_license(record: Record) -> None:
    """Refuse the text of one common license for another; a new project begins with the MIT License."""
    path, license = record.root / "LICENSE", record.project.license
    text = read_text(path, "Put the license's text there.")
    for name, title in (("mit", "MIT License"), ("apache-2.0", "Apache License")):
        if license != name and text.lower().lstrip().startswith(title.lower()):
            raise InputError(path, f"The text is the {title}, but the project config names `{license}`.")


def check_splits(record: Record) -> None:
    """Refuse names of splits and folders that load_dataset does not take."""
    for split in record.published_splits:
        if not (SPLIT.fullmatch(split.name) and FOLDER.fullmatch(split.config)):
            raise InputError(split.path, "load_dataset takes no such name. Use letters, digits and `_`.")


def check_selection(repos: list[Repository], published: Collection[Role], make_public: Collection[str]) -> None:
    """Refuse repositories that cannot be published without the others."""
    unknown = set(make_public) - {repo.repo_id for repo in repos}
    if unknown:
        raise Refused(f"--make-public {', '.join(sorted(unknown))}: not a repository of this publication.")
    roles = {repo.role for repo in repos}
    if "space" in roles and not {"base", "model"} <= roles | set(published):
        raise Refused("the Space shows models that are not published yet. Publish base and model first, or with it.")


def check_plan(hub: Hub, account: Account, plan: RepoPlan, tag: str | None) -> None:
    """Check one repository: the right to write, its card's metadata and the tag."""
    repo = plan.repo
    if plan.remote is None:
        if account.no_new:
            missing = "starts from scratch" if plan.aside else "does not exist"
            raise Refused(f"{repo.repo_id}: {missing}, and {account.no_new}")
    else:
        try:
            hub.call(hub.api.auth_check, repo.repo_id, repo_type=repo.kind, write=True)
        except RepositoryNotFoundError:
            raise Refused(f"{repo.repo_id}: the token may not write to it. Use one that may.") from None
    answer = hub.call(_validate_metadata, hub, repo)
    if answer.status_code == 400:
        raise Refused(f"{repo.role}/README.md: the Hub does not accept the metadata: {show(answer.text)}")
    if tag and plan.remote is not None:
        refs = hub.call(hub.api.list_repo_refs, repo.repo_id, repo_type=repo.kind)
        taken = next((ref.target_commit for ref in refs.tags if ref.name == tag), None)
        if taken is not None and (taken != plan.remote.head or plan.action != "nothing"):
            raise Refused(f"{repo.repo_id}: has the tag {tag} already, on commit {taken[:12]}. Give another --tag.")


def _validate_metadata(hub: Hub, repo: Repository) -> httpx2.Response:
    answer = hf.get_session().post(
        f"{hub.endpoint}/api/validate-yaml", json={"repoType": repo.kind, "content": repo.card}
    )
    if answer.status_code != 400:
        hf_raise_for_status(answer)
    return answer


def left_out_notes(record: Record) -> list[str]:
    """Say what is in the checkpoints' folders and is not published, and which of the author's words are not used."""
    notes = unused_words(record)
    for folder in (record.checkpoint, *record.further_adapters.values()):
        names = left_out(folder) if folder.is_dir() else []
        place = folder.relative_to(record.root) if folder.is_relative_to(record.root) else folder.name
        notes += [f"not published from {place}: {', '.join(names)}"] if names else []
    return notes


def check_base(visitor: Hub, context: Context) -> str | None:
    """Look at a base model that is not published along, as somebody without a token; return what visitors need to load it."""
    base = context.names.base
    if context.record.model.full:
        return None
    if base is None:
        raise Refused("the experiment's config names no base model on the Hub. Set `base_model` to its Hub id.")
    try:
        info = visitor.call(visitor.api.model_info, base)
    except RepositoryNotFoundError:
        hidden = f"the base model {show(base)} is private or not on the Hub: visitors cannot load the adapter"
        if context.record.project.visibility == "public":
            raise Refused(f"{hidden}. Correct `base_model`, or set `visibility: private`.") from None
        return hidden
    if info.gated:
        return f"the base model {show(base)} is gated: visitors need access to it"
    if "custom_code" in (info.tags or []):
        return f"the base model {show(base)} brings code of its own, which transformers runs only with trust_remote_code=True"
    return None


def check_published_base(hub: Hub, base: Repository) -> None:
    """Check that the base model on the Hub is the one here, for an adapter that is published without it."""
    remote = hub.read(base.repo_id, base.kind)
    if remote is None:
        raise Refused("the adapter's base model is not on the Hub. Publish it first, or with it.")
    loaded = (".safetensors", "config.json", "tokenizer.json")
    odd = [path for path in remote.differing(base) if path.endswith(loaded)]
    if odd:
        raise Refused(f"{base.repo_id}: is not the base model that was evaluated ({', '.join(odd)}). Publish it too.")
