"""What secrets look like: keys by their prefixes, passwords by their names, and documented examples, which are none."""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache

_KEYS = (
    ("Hugging Face token", "hf_|api_org_", r"[A-Za-z0-9]{30,}"),
    ("GitHub token", "ghp_|gho_|ghs_", r"[A-Za-z0-9]{36}"),
    ("GitHub token", "github_pat_", r"[A-Za-z0-9_]{50,}"),
    ("GitLab token", "glpat-", r"[A-Za-z0-9_-]{20,}"),
    ("AWS key", "AKIA|ASIA", r"[A-Z0-9]{16}(?![A-Z0-9])"),
    ("Google API key", "AIza", r"[A-Za-z0-9_-]{35}"),
    ("Google client secret", "GOCSPX-", r"[A-Za-z0-9_-]{28}"),
    ("Google access token", "ya29.", r"[A-Za-z0-9_-]{50,}"),
    ("API key", "sk-", r"(?:proj-|ant-|svcacct-|or-)?[A-Za-z0-9_-]{40,}"),
    ("Stripe key", "sk_live_|rk_live_|sk_test_", r"[A-Za-z0-9]{24,}"),
    ("Slack token", "xoxb-|xoxp-", r"[A-Za-z0-9-]{24,}"),
    ("PyPI token", "pypi-AgE", r"[A-Za-z0-9_-]{50,}"),
    ("npm token", "npm_", r"[A-Za-z0-9]{36}"),
    ("SendGrid key", "SG.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("DigitalOcean token", "dop_v1_", r"[a-f0-9]{64}"),
    ("Shopify token", "shpat_", r"[a-fA-F0-9]{32}"),
    ("Grafana token", "glsa_", r"[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    ("Replicate token", "r8_", r"[A-Za-z0-9]{37}"),
    ("Groq key", "gsk_", r"[A-Za-z0-9]{50,}"),
    ("Tavily key", "tvly-", r"[A-Za-z0-9-]{32,}"),
    ("Docker token", "dckr_pat_", r"[A-Za-z0-9_-]{27}"),
    ("Vault token", "hvs.", r"[A-Za-z0-9_-]{24,}"),
    ("Linear key", "lin_api_", r"[A-Za-z0-9]{40}"),
    ("Notion token", "ntn_", r"[A-Za-z0-9]{40,}"),
    ("NVIDIA key", "nvapi-", r"[A-Za-z0-9_-]{60,}"),
    ("xAI key", "xai-", r"[A-Za-z0-9]{70,}"),
    ("Perplexity key", "pplx-", r"[A-Za-z0-9]{40,}"),
    ("Together key", "tgp_v1_", r"[A-Za-z0-9_-]{40,}"),
    ("Databricks token", "dapi", r"[a-f0-9]{32}(?![a-f0-9])"),
    ("Pinecone key", "pcsk_", r"[A-Za-z0-9_]{50,}"),
    ("LangSmith key", "lsv2_", r"(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    ("Fireworks key", "fw_", r"[A-Za-z0-9]{24}(?![A-Za-z0-9])"),
    ("Postman key", "PMAK-", r"[a-f0-9]{24}-[a-f0-9]{34}"),
    ("New Relic key", "NRAK-", r"[A-Z0-9]{27}"),
    ("Atlassian token", "ATATT3x", r"[A-Za-z0-9_=-]{100,}"),
    ("Figma token", "figd_", r"[A-Za-z0-9_-]{40,}"),
    ("PlanetScale token", "pscale_", r"(?:tkn|pw)_[A-Za-z0-9_.-]{32,}"),
    ("Supabase token", "sbp_", r"[a-f0-9]{40}"),
    ("Slack token", "xapp-", r"\d-[A-Z0-9]+-\d+-[a-f0-9]{64}"),
    ("Discord webhook", "api/webhooks/", r"\d{17,20}/[A-Za-z0-9_-]{60,}"),
    ("Mailgun key", "key-", r"[a-f0-9]{32}(?![a-f0-9])"),
    ("JSON web token", "eyJ", r"[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    ("private key", "-----BEGIN ", r"(?:[A-Z0-9]+ )*PRIVATE KEY"),
    ("private key", "AGE-SECRET-KEY-", r"1[A-Z0-9]{58}"),
    ("private key", "PuTTY-User-Key-File", r"-[23]"),
)
"""Keys that a prefix gives away: what they are, their prefixes, and the pattern of what follows."""

KEYS: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = tuple(
    (kind, prefix.encode(), re.compile(re.escape(prefix.encode()) + rest.encode()))
    for kind, prefixes, rest in _KEYS
    for prefix in prefixes.split("|")
)
"""The same by prefix, with the whole pattern. They are looked for in every byte."""

GUESSING = (
    "high_entropy_strings", "keyword", "ip_public", "artifactory", "mailchimp", "twilio", "softlayer", "cloudant",
    "ibm_cloud_iam", "ibm_cos_hmac",
)  # fmt: skip
"""Modules of detect-secrets that report ordinary hashes, words and numbers as well."""

ASSIGNED = re.compile(
    r"(?:api[_-]?key|(?:api|access|auth)[_-]?token|secret[_-]?(?:access[_-]?)?key|password|passwd|account[_-]?sid)[\"']?(?:\s*[:=]\s*|\s+)"
    r"[\"']?(?=[^\s\"']*\d)(?=[^\s\"']*[A-Za-z])[A-Za-z0-9+/_.-]{16,200}",
    re.IGNORECASE,
)
"""A name of a secret, and after it letters and digits that look like one."""

EXAMPLE = re.compile(
    r"example|x{4,}|\*{3,}|\.\.\.|<[a-z_ -]+>|your[_-]|://[^:@/\s]*:(?:password|passwd|pass|secret|token|pw)@|(\w)\1{9,}",
    re.IGNORECASE,
)
"""What a documented example contains."""


@cache
def detectors() -> list[tuple[str, re.Pattern[str]]]:
    """List the patterns for texts, detect-secrets' among them, with the kind of secret that each is for."""
    from detect_secrets import plugins
    from detect_secrets.plugins.base import RegexBasedDetector

    found: list[tuple[str, re.Pattern[str]]] = [("a key or password with its name", ASSIGNED)]
    for module in pkgutil.iter_modules(plugins.__path__):
        if module.name in GUESSING:
            continue
        for value in vars(importlib.import_module(f"{plugins.__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, RegexBasedDetector) and isinstance(value.secret_type, str):
                found += [(value.secret_type, pattern) for pattern in value.denylist]
    return found
