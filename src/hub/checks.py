"""What is checked before the first byte is sent."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Collection, Mapping
from typing import Any

import huggingface_hub as hf
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.stripe import StripeDetector
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils._http import hf_raise_for_status
from huggingface_hub.utils._validators import validate_repo_id

from src.documents.context import Context, RepoNames
from src.record.errors import InputError, show
from src.record.publication import Role

from .bundle import Repository
from .client import ERRORS, Hub, status
from .errors import Refused
from .plan import TEXT, RepoPlan

WRITERS = frozenset({"admin", "write", "contributor"})
"""Roles in an organisation that may write to repositories."""

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
"""What a tag may be called: what the receipt can hold and git can take."""

NEEDED = ("torch", "transformers", "peft", "datasets")
"""Packages that the verification runs."""


class HuggingFaceTokenDetector(RegexBasedDetector):
    """Finds tokens of the Hub, which detect-secrets does not know."""

    secret_type = "Hugging Face token"  # noqa: S105 - the name of a kind
    denylist = (re.compile(r"hf_[A-Za-z0-9]{30,}"), re.compile(r"api_org_[A-Za-z0-9]{30,}"))


DETECTORS: tuple[Any, ...] = tuple(
    detector()
    for detector in (
        HuggingFaceTokenDetector,
        AWSKeyDetector,
        AzureStorageKeyDetector,
        BasicAuthDetector,
        GitHubTokenDetector,
        GitLabTokenDetector,
        JwtTokenDetector,
        NpmDetector,
        OpenAIDetector,
        PrivateKeyDetector,
        PypiTokenDetector,
        SlackDetector,
        StripeDetector,
    )
)
"""What a secret can look like; detectors that guess from entropy would report every hash."""

MAX_SCANNED = 64 * 1024 * 1024
"""Bytes of a text file that are searched for secrets."""


def check_secrets(repos: list[Repository], token: str | None) -> None:
    """Refuse text files that hold something that looks like a secret.

    Raises:
        InputError: The file and the line; the secret itself is not shown.
    """
    searched: set[str] = set()
    for repo in repos:
        for file in repo.files.values():
            if not file.path.endswith(TEXT) or file.size > MAX_SCANNED or file.sha256 in searched:
                continue
            searched.add(file.sha256)
            text = file.content.decode("utf-8", errors="replace")
            found = _secret(text, token)
            if found:
                kind, position = found
                raise InputError(
                    f"{repo.role}/{file.path}",
                    key=f"line {text.count(chr(10), 0, position) + 1}",
                    found=f"what looks like a secret ({kind})",
                    expected="text that everybody may read",
                    hint="Remove it where the text comes from, and revoke it if it is real.",
                )


def _secret(text: str, token: str | None) -> tuple[str, int] | None:
    if token and token in text:
        return "the token that you are logged in with", text.index(token)
    for detector in DETECTORS:
        for pattern in detector.denylist:
            match = pattern.search(text)
            if match:
                return detector.secret_type, match.start()
    return None


def check_login(hub: Hub, given: str | None) -> tuple[str, str]:
    """Check who is logged in and where that person may write.

    Args:
        hub: The Hub.
        given: Namespace that the option, the config or the last publication names.

    Returns:
        The user's name and the namespace.

    Raises:
        Refused: The token may only read, or not write to that namespace.
        Unreachable: The Hub did not answer.
    """
    resource = os.environ.get("HF_OIDC_RESOURCE")
    if resource:
        namespace = given or resource.removeprefix("datasets/").split("/")[0]
        return namespace, namespace
    user = hub.call(hub.api.whoami)
    name = str(user["name"])
    namespace = given or name
    access = (user.get("auth") or {}).get("accessToken") or {}
    role = access.get("role")
    if role == "read":
        raise Refused(
            "the token may only read. Create one with the role `write` (Settings, Access Tokens), then `hf auth login`."
        )
    if role == "fineGrained" and not _may_write(access.get("fineGrained") or {}, namespace):
        raise Refused(
            f"the fine-grained token has no write permission for {show(namespace)}. Add it in the token's settings."
        )
    organisations = {str(org["name"]): org.get("roleInOrg") for org in user.get("orgs") or []}
    if namespace != name and organisations.get(namespace) not in WRITERS:
        writable = ", ".join([name, *(org for org, r in organisations.items() if r in WRITERS)])
        raise Refused(
            f"{show(name)} may not write to {show(namespace)}. Give --namespace one of: {show(writable)}; or ask its owner."
        )
    return name, namespace


def _may_write(rights: dict[str, Any], namespace: str) -> bool:
    for scope in rights.get("scoped") or []:
        entity = scope.get("entity") or {}
        owner = str(entity.get("name", "")).split("/")[0]
        if owner == namespace and {"repo.write", "repo.content.write"} & set(scope.get("permissions") or []):
            return True
    return False


def check_installed(*, space: bool) -> None:
    """Check that the verification can run, without importing what it needs.

    Args:
        space: Whether a Space is to be verified, in a browser.

    Raises:
        Refused: A package is missing.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(
            f"{', '.join(missing)} not installed, so what is uploaded could not be verified. "
            'Run `pip install -c constraints.txt -e ".[experiment]"` first.'
        )
    if space and importlib.util.find_spec("playwright") is None:
        raise Refused(
            "playwright is not installed, so the Space could not be tried in a browser. "
            "Run `pip install -c constraints.txt playwright` and `playwright install chromium`, or publish with --only."
        )


def check_names(names: RepoNames, tag: str | None) -> None:
    """Check that the Hub can take the names of the repositories and of the tag.

    Raises:
        InputError: The first that it cannot take.
    """
    config = "the project config"
    for key, name in (
        ("model_repo", names.model),
        ("dataset_repo", names.dataset),
        ("base_model", names.base),
        ("space_repo", names.space),
    ):
        try:
            if name is not None:
                validate_repo_id(name)
        except HFValidationError:
            raise InputError(
                config,
                key=key,
                found=name,
                expected="a name of at most 96 letters, digits, `-`, `_` and `.` with no `--` or `..`, not ending in `.git`",
                hint="Rename it there, or in --namespace.",
            ) from None
    if names.model == names.base:
        raise InputError(
            config,
            key="model_repo",
            found=f"{show(names.model)}, as the base model is called",
            expected="a repository of its own",
            hint="Rename one of them.",
        )
    if tag is not None and (tag == "main" or not TAG.fullmatch(tag) or ".." in tag or tag.endswith((".", ".lock"))):
        raise InputError(
            "--tag",
            found=repr(tag),
            expected="at most 96 letters, digits, `.`, `_` and `-`, beginning with a letter or digit, and not the branch `main`",
            hint="Give a name such as v1.0.0.",
        )


def check_something(context: Context, only: Collection[Role], found: bool) -> None:
    """Refuse to publish nothing.

    Args:
        context: The record.
        only: Roles that were asked for.
        found: Whether there is a repository of one of them.

    Raises:
        InputError: There is none.
    """
    if found:
        return
    missing = "no dataset" if "dataset" in only else "no base model of its own" if "base" in only else None
    raise InputError(
        context.record.data if missing == "no dataset" else "--only",
        found=missing or f"no Space: {_no_space(context)}",
        expected="something to publish",
        hint="Leave --only out, or add what is missing.",
    )


def _no_space(context: Context) -> str:
    """Say why a record has no Space."""
    if isinstance(context.demo, str):
        return context.demo
    return (
        "the config names no space_repo"
        if context.names.space is None
        else "its visitors could not read private models"
    )


def check_plan(hub: Hub, plan: RepoPlan, tag: str | None, own: Mapping[str, str]) -> None:
    """Check one repository: its name, the right to write, its card's metadata and the tag.

    Args:
        hub: The Hub.
        plan: What would happen.
        tag: Tag that would be put on it.
        own: Kind of each repository that is published together, by name.

    Raises:
        Refused: One of them does not fit.
        Unreachable: The Hub did not answer.
    """
    repo = plan.repo
    for kind in ("model", "dataset", "space"):
        if kind == repo.kind or own.get(repo.repo_id) == kind:
            continue
        if plan.remote is None and hub.call(_exists, hub, repo.repo_id, kind):
            raise Refused(
                f"{repo.repo_id} is a {kind} on the Hub already, not a {repo.kind}. "
                f"Choose another `{repo.role}_repo` in the project config."
            )
    if plan.remote is not None:
        try:
            hub.call(hub.api.auth_check, repo.repo_id, repo_type=repo.kind, write=True)
        except RepositoryNotFoundError:
            raise Refused(f"the token may not write to {repo.repo_id}. Use one that may.") from None
    elif os.environ.get("HF_OIDC_RESOURCE"):
        raise Refused(
            f"{repo.repo_id} does not exist, and a trusted publisher cannot create it. Publish once from a machine that "
            "is logged in, then add the trusted publisher in the repository's settings."
        )
    check_card(hub, repo)
    if tag and plan.remote is not None:
        refs = hub.call(hub.api.list_repo_refs, repo.repo_id, repo_type=repo.kind)
        taken = next((ref.target_commit for ref in refs.tags if ref.name == tag), None)
        if taken is not None and (taken != plan.remote.head or plan.action != "nothing"):
            raise Refused(f"{repo.repo_id} has the tag {tag} already, on commit {taken[:12]}. Give another --tag.")


def check_card(hub: Hub, repo: Repository) -> None:
    """Ask the Hub whether it accepts a card's metadata.

    Raises:
        Refused: It does not.
    """
    if not repo.card:
        raise Refused(f"{repo.role}: there is no README.md to publish. Write one beside the model.")
    errors = hub.call(_validate, hub, repo)
    if errors:
        raise Refused(f"{repo.role}/README.md: the Hub does not accept the metadata: {show(errors)}")


def _validate(hub: Hub, repo: Repository) -> str:
    """Ask for the errors in a card's metadata; only JSON is an answer."""
    answer = hf.get_session().post(
        f"{hub.endpoint}/api/validate-yaml", json={"repoType": repo.kind, "content": repo.card}
    )
    if answer.status_code != 400:
        hf_raise_for_status(answer)
    said = answer.json()
    if not isinstance(said, dict):
        raise json.JSONDecodeError("not an object", answer.text[:80], 0)
    errors = "; ".join(str(e.get("message") if isinstance(e, dict) else e) for e in said.get("errors") or [])
    return errors or ("HTTP 400" if answer.status_code == 400 else "")


def check_base(hub: Hub, context: Context) -> None:
    """Check that a base model which is not published along exists on the Hub.

    Raises:
        Refused: It does not, or no base model is named.
    """
    base = context.names.base
    if base is None:
        raise Refused(
            "the experiment's config names no base model, so nobody could load the adapter. Add `base_model`."
        )
    if not hub.call(_exists, hub, base, "model"):
        raise Refused(
            f"the base model {show(base)} is not on the Hub. Correct `base_model` in the experiment's config, "
            "or publish it first."
        )


def _exists(hub: Hub, repo_id: str, kind: str) -> bool:
    try:
        hub.api.repo_info(repo_id, repo_type=kind)
    except RepositoryNotFoundError:
        return False
    except ERRORS as error:
        if status(error) == 404:
            return False
        raise
    return True
