"""The account: who is logged in, and where that person may write."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from src.record.errors import show

from .errors import Refused
from .remote import Hub

WRITERS = frozenset({"admin", "write", "contributor"})
"""Roles in an organization that may write to repositories."""


@dataclass(frozen=True)
class Account:
    """Who publishes, and where.

    Attributes:
        name: The user's name.
        namespace: The user or organization that the repositories belong to.
        no_new: Why the account cannot create repositories there, if it cannot.
    """

    name: str
    namespace: str
    no_new: str | None = None


def check_login(hub: Hub, given: str | None) -> Account:
    """Check who is logged in, and that this person may write to the namespace that is given."""
    resource = os.environ.get("HF_OIDC_RESOURCE")
    if resource:
        namespace = given or resource.removeprefix("datasets/").split("/")[0]
        no_new = "a trusted publisher cannot create it. Publish once from a machine that is logged in."
        return Account(namespace, namespace, no_new)

    def ask() -> tuple[str, dict[str, Any], dict[str, Any]]:
        user = hub.api.whoami()
        organizations = {str(org["name"]): org.get("roleInOrg") for org in user.get("orgs") or []}
        return str(user["name"]), (user.get("auth") or {}).get("accessToken") or {}, organizations

    name, access, organizations = hub.call(ask)
    namespace = given or name
    if access.get("role") == "read":
        raise Refused("the token may only read. Create one with the role `write`, then `hf auth login`.")
    writable = _writable(access.get("fineGrained") or {}) if access.get("role") == "fineGrained" else {namespace}
    if namespace not in {place.split("/")[0] for place in writable}:
        raise Refused(f"the fine-grained token has no write permission for {show(namespace)}. Add it in its settings.")
    if namespace != name and organizations.get(namespace) not in WRITERS:
        allowed = ", ".join([name, *(org for org, r in organizations.items() if r in WRITERS)])
        raise Refused(f"{show(name)} may not write to {show(namespace)}. Give --namespace one of: {show(allowed)}.")
    no_new = f"the token may only write to {show(', '.join(sorted(writable)))}. Create the repository on the Hub first."
    return Account(name, namespace, None if namespace in writable else no_new)


def _writable(rights: dict[str, Any]) -> set[str]:
    """List the users, organizations and repositories that a fine-grained token may write to."""
    return {
        str((scope.get("entity") or {}).get("name", ""))
        for scope in rights.get("scoped") or []
        if {"repo.write", "repo.content.write"} & set(scope.get("permissions") or [])
    }
