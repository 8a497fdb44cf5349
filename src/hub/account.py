"""The account: who is logged in, and where that person may write."""

from __future__ import annotations

import os
from typing import Any

from src.record.errors import show

from .errors import Refused
from .remote import Hub

WRITERS = frozenset({"admin", "write", "contributor"})
"""Roles in an organization that may write to repositories."""


def check_login(hub: Hub, given: str | None) -> tuple[str, str]:
    """Check who is logged in, and where that person may write.

    Args:
        hub: The Hub.
        given: Namespace that the option, the config or the last publication names.

    Returns:
        The user's name and the namespace.

    Raises:
        Refused: The token may only read, or not write to that namespace.
        Unreachable: The Hub did not answer as it should.
    """
    resource = os.environ.get("HF_OIDC_RESOURCE")
    if resource:
        namespace = given or resource.removeprefix("datasets/").split("/")[0]
        return namespace, namespace

    def account() -> tuple[str, dict[str, Any], dict[str, Any]]:
        user = hub.api.whoami()
        organizations = {str(org["name"]): org.get("roleInOrg") for org in user.get("orgs") or []}
        return str(user["name"]), (user.get("auth") or {}).get("accessToken") or {}, organizations

    name, access, organizations = hub.call(account)
    namespace = given or name
    role = access.get("role")
    if role == "read":
        raise Refused(
            "the token may only read. Create one with the role `write` (Settings, Access Tokens), then `hf auth login`."
        )
    if role == "fineGrained" and not _may_write(access.get("fineGrained") or {}, namespace):
        raise Refused(
            f"the fine-grained token has no write permission for {show(namespace)}. Add it in the token's settings."
        )
    if namespace != name and organizations.get(namespace) not in WRITERS:
        writable = ", ".join([name, *(org for org, r in organizations.items() if r in WRITERS)])
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
