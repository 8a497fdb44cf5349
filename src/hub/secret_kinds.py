"""What secrets look like: keys by their prefixes, passwords by their names, and documented examples, which are none."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping
from functools import cache

KEYS: Mapping[bytes, tuple[str, bytes]] = {
    b"hf_": ("Hugging Face token", rb"hf_[A-Za-z0-9]{30,}"),
    b"api_org_": ("Hugging Face token", rb"api_org_[A-Za-z0-9]{30,}"),
    b"ghp_": ("GitHub token", rb"ghp_[A-Za-z0-9]{36}"),
    b"gho_": ("GitHub token", rb"gho_[A-Za-z0-9]{36}"),
    b"ghs_": ("GitHub token", rb"ghs_[A-Za-z0-9]{36}"),
    b"github_pat_": ("GitHub token", rb"github_pat_[A-Za-z0-9_]{50,}"),
    b"glpat-": ("GitLab token", rb"glpat-[A-Za-z0-9_-]{20,}"),
    b"AKIA": ("AWS key", rb"AKIA[A-Z0-9]{16}(?![A-Z0-9])"),
    b"ASIA": ("AWS key", rb"ASIA[A-Z0-9]{16}(?![A-Z0-9])"),
    b"AIza": ("Google API key", rb"AIza[A-Za-z0-9_-]{35}"),
    b"GOCSPX-": ("Google client secret", rb"GOCSPX-[A-Za-z0-9_-]{28}"),
    b"ya29.": ("Google access token", rb"ya29\.[A-Za-z0-9_-]{50,}"),
    b"sk-": ("API key", rb"sk-(?:proj-|ant-|svcacct-|or-)?[A-Za-z0-9_-]{40,}"),
    b"sk_live_": ("Stripe key", rb"sk_live_[A-Za-z0-9]{24,}"),
    b"rk_live_": ("Stripe key", rb"rk_live_[A-Za-z0-9]{24,}"),
    b"xoxb-": ("Slack token", rb"xoxb-[A-Za-z0-9-]{24,}"),
    b"xoxp-": ("Slack token", rb"xoxp-[A-Za-z0-9-]{24,}"),
    b"pypi-AgE": ("PyPI token", rb"pypi-AgE[A-Za-z0-9_-]{50,}"),
    b"npm_": ("npm token", rb"npm_[A-Za-z0-9]{36}"),
    b"SG.": ("SendGrid key", rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    b"dop_v1_": ("DigitalOcean token", rb"dop_v1_[a-f0-9]{64}"),
    b"shpat_": ("Shopify token", rb"shpat_[a-fA-F0-9]{32}"),
    b"glsa_": ("Grafana token", rb"glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"),
    b"r8_": ("Replicate token", rb"r8_[A-Za-z0-9]{37}"),
    b"gsk_": ("Groq key", rb"gsk_[A-Za-z0-9]{50,}"),
    b"tvly-": ("Tavily key", rb"tvly-[A-Za-z0-9-]{32,}"),
    b"dckr_pat_": ("Docker token", rb"dckr_pat_[A-Za-z0-9_-]{27}"),
    b"hvs.": ("Vault token", rb"hvs\.[A-Za-z0-9_-]{24,}"),
    b"lin_api_": ("Linear key", rb"lin_api_[A-Za-z0-9]{40}"),
    b"ntn_": ("Notion token", rb"ntn_[A-Za-z0-9]{40,}"),
    b"nvapi-": ("NVIDIA key", rb"nvapi-[A-Za-z0-9_-]{60,}"),
    b"xai-": ("xAI key", rb"xai-[A-Za-z0-9]{70,}"),
    b"pplx-": ("Perplexity key", rb"pplx-[A-Za-z0-9]{40,}"),
    b"tgp_v1_": ("Together key", rb"tgp_v1_[A-Za-z0-9_-]{40,}"),
    b"dapi": ("Databricks token", rb"dapi[a-f0-9]{32}(?![a-f0-9])"),
    b"pcsk_": ("Pinecone key", rb"pcsk_[A-Za-z0-9_]{50,}"),
    b"lsv2_": ("LangSmith key", rb"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    b"fw_": ("Fireworks key", rb"fw_[A-Za-z0-9]{24}(?![A-Za-z0-9])"),
    b"PMAK-": ("Postman key", rb"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    b"NRAK-": ("New Relic key", rb"NRAK-[A-Z0-9]{27}"),
    b"ATATT3x": ("Atlassian token", rb"ATATT3x[A-Za-z0-9_=-]{100,}"),
    b"figd_": ("Figma token", rb"figd_[A-Za-z0-9_-]{40,}"),
    b"pscale_": ("PlanetScale token", rb"pscale_(?:tkn|pw)_[A-Za-z0-9_.-]{32,}"),
    b"sbp_": ("Supabase token", rb"sbp_[a-f0-9]{40}"),
    b"sk_test_": ("Stripe key", rb"sk_test_[A-Za-z0-9]{24,}"),
    b"xapp-": ("Slack token", rb"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{64}"),
    b"api/webhooks/": ("Discord webhook", rb"api/webhooks/\d{17,20}/[A-Za-z0-9_-]{60,}"),
    b"key-": ("Mailgun key", rb"key-[a-f0-9]{32}(?![a-f0-9])"),
    b"eyJ": ("JSON web token", rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    b"-----BEGIN ": ("private key", rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY"),
    b"AGE-SECRET-KEY-": ("private key", rb"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    b"PuTTY-User-Key-File": ("private key", rb"PuTTY-User-Key-File-[23]"),
}
"""Keys that a prefix gives away: by it, the kind and the whole pattern. They are looked for in every byte."""

GUESSING = (
    "high_entropy_strings",
    "keyword",
    "ip_public",
    "artifactory",
    "mailchimp",
    "twilio",
    "softlayer",
    "cloudant",
    "ibm_cloud_iam",
    "ibm_cos_hmac",
)
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
