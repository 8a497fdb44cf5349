"""The account: who is logged in, and where that person may write."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from src.record.errors import show

from .remote import Hub

WRITERS = frozenset({"admin", "write", "contributor"})
"""Roles in an organization that may write to repositories."""


@dataclass(frozen=True)
class Account:
    """Who publishes, in which namespace, and why this account cannot create repositories there, if it cannot."""

    name: str
    namespace: str
    no_new: str | None = None


def check_login(hub: Hub, given: str | None) -> Account:
    """Look up who is logged in, and whether this person may create repositories in the namespace that is given."""
    resource = os.environ.get("HF_OIDC_RESOURCE")
    if resource:
        namespace = given or resource.removeprefix("datasets/").split("/")[0]
        why = "a trusted publisher cannot create it. Publish once from a machine that is logged in."
        return Account(namespace, namespace, why)

    def ask() -> tuple[str, dict[str, Any], set[str]]:
        user = hub.api.whoami()
        organizations = {str(org["name"]) for org in user.get("orgs") or [] if org.get("roleInOrg") in WRITERS}
        return str(user["name"]), (user.get("auth") or {}).get("accessToken") or {}, organizations

    name, access, organizations = hub.call(ask)
    namespace = given or name
    may_write = {name, *organizations}
    fine_grained = access.get("role") == "fineGrained"
    writable = _writable(access.get("fineGrained") or {}) if fine_grained else may_write
    no_new = None
    if access.get("role") == "read":
        no_new = "the token may only read. Create one with the role `write`, then `hf auth login`."
    elif namespace not in may_write & writable:
        no_new = f"the token may only write to {show(', '.join(sorted(writable)))}. Give another --namespace or token."
    return Account(name, namespace, no_new)


def _writable(rights: dict[str, Any]) -> set[str]:
    """List the users, organizations and repositories that a fine-grained token may write to."""
    return {
        str((scope.get("entity") or {}).get("name", ""))
        for scope in rights.get("scoped") or []
        if {"repo.write", "repo.content.write"} & set(scope.get("permissions") or [])
    }
