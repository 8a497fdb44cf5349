"""A local stand-in for the Hugging Face Hub: what huggingface_hub, transformers and datasets use of it.

What it answers follows the client's code and the Hub's public documentation. It keeps commits, branches and
tags in memory, file contents on disk, and knows users with tokens of several roles. It runs over a socket, or in the process of
the test (`InProcess`), where something can happen between any two requests.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

NOW = "2026-01-01T00:00:00.000Z"
LFS_BYTES = 1_000_000
LFS_ENDINGS = (".safetensors", ".parquet", ".png", ".pdf")
KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
BLOCK = 1 << 20


@dataclass(frozen=True)
class Blob:
    """A file's content on disk, with the hashes that the Hub knows it by."""

    path: Path
    size: int
    sha256: str
    oid: str
    lfs: bool


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    title: str
    author: str
    files: dict[str, Blob]
    message: str = ""


@dataclass
class Repo:
    name: str
    kind: str
    private: bool
    hidden: bool = False  # from people without a token, as the Hub may do with a public repository
    gated: bool = False
    labels: list[str] = field(default_factory=list)  # which the Hub calls tags
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> Commit | None:
        oid = self.refs.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(oid)

    def history(self, commit: Commit) -> list[Commit]:
        out = [commit]
        while (parent := out[-1].parent) is not None:
            out.append(self.commits[parent])
        return out


@dataclass
class User:
    name: str
    role: str = "write"
    orgs: dict[str, str] = field(default_factory=dict)
    expired: bool = False
    scopes: list[dict[str, Any]] | None = None


@dataclass
class Fault:
    """What goes wrong over the socket: a request that matches is answered with an HTTP status, or `silent`, `slow` or `flip`."""

    method: str
    path: str
    kind: int | str
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    seen: int = 0


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        self.status, self.message, self.code = status, message, code


class HubServer:
    """The server, in a thread of the test's process; its state may be looked at and changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs").mkdir(parents=True)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.users: dict[str, User] = {}
        self.objects: dict[str, Blob] = {}
        self.faults: list[Fault] = []
        self.log: list[tuple[str, str]] = []
        self.moved: dict[tuple[str, str], str] = {}
        self.made: list[tuple[str, str, str]] = []  # every commit, by kind and name of its repository
        self.revealed: list[tuple[str, str, dict[str, Blob]]] = []  # what each repository held when it was made public
        self.url = "https://huggingface.co"
        self._serial = 0
        api = "/api/{kinds:kinds}/{ns}/{name}"
        self.app = Starlette(
            routes=[
                Route("/api/whoami-v2", self.whoami),
                Route("/api/validate-yaml", self.validate_yaml, methods=["POST"]),
                Route("/api/repos/create", self.create, methods=["POST"]),
                Route("/api/repos/move", self.move, methods=["POST"]),
                Route("/oauth/token", self.exchange, methods=["POST"]),
                Route("/lfs/{oid}", self.put_object, methods=["PUT"]),
                *(
                    Route(path.replace("{kinds:kinds}", kinds), handler, methods=methods)
                    for kinds in KINDS
                    for path, handler, methods in (
                        (api, self.info, ["GET"]),
                        (api + "/revision/{rev:path}", self.info, ["GET"]),
                        (api + "/auth-check", self.auth_check, ["GET"]),
                        (api + "/auth-check/write", self.auth_check, ["GET"]),
                        (api + "/settings", self.settings, ["PUT"]),
                        (api + "/preupload/{rev:path}", self.preupload, ["POST"]),
                        (api + "/commit/{rev:path}", self.commit, ["POST"]),
                        (api + "/tree/{rest:path}", self.tree, ["GET"]),
                        (api + "/paths-info/{rev:path}", self.paths_info, ["POST"]),
                        (api + "/refs", self.list_refs, ["GET"]),
                        (api + "/commits/{rev:path}", self.commits, ["GET"]),
                        (api + "/tag/{rev:path}", self.tag, ["POST"]),
                    )
                ),
                *(
                    Route(prefix + path, handler, methods=methods)
                    for prefix in ("/datasets", "/spaces", "")
                    for path, handler, methods in (
                        ("/{ns}/{name}.git/info/lfs/objects/batch", self.batch, ["POST"]),
                        ("/{ns}/{name}/resolve/{rest:path}", self.resolve, ["GET", "HEAD"]),
                    )
                ),
            ],
            exception_handlers={HubError: self.refuse},
        )

    # Running.

    def start(self) -> str:
        config = uvicorn.Config(
            self.asgi, host="127.0.0.1", port=0, log_level="critical", lifespan="off", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            if time.monotonic() > deadline:
                raise RuntimeError("the server did not start")
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self.url

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, and let faults happen around it."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        self.log.append((method, path))
        fault = next(
            (f for f in self.faults if f.times > f.seen and f.method == method and re.search(f.path, path)), None
        )
        if fault is None:
            await self.app(scope, receive, send)
            return
        fault.seen += 1
        if isinstance(fault.kind, int):
            while (await receive()).get("more_body"):
                pass
            await PlainTextResponse("fault", fault.kind, headers=fault.headers)(scope, receive, send)
        elif fault.kind == "slow":  # a byte a second, for ever
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
            )
            while True:
                await send({"type": "http.response.body", "body": b" ", "more_body": True})
                await asyncio.sleep(0.2)
        elif fault.kind == "flip":  # the first bit of the first byte is another one
            seen: list[bytes] = []

            async def flip(message: Any) -> None:
                body = message.get("body", b"")
                if body and not seen:
                    seen.append(body)
                    message = message | {"body": bytes([body[0] ^ 1]) + body[1:]}
                await send(message)

            await self.app(scope, receive, flip)
        else:  # silent: there is never an answer
            while (await receive())["type"] != "http.disconnect":
                pass

    async def refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HubError)
        if error.status == 307:
            return RedirectResponse(error.message, 307)
        headers = {"X-Error-Message": error.message} | ({"X-Error-Code": error.code} if error.code else {})
        return JSONResponse({"error": error.message}, error.status, headers)

    # Who asks.

    def user(self, request: Request) -> User | None:
        header = request.headers.get("authorization", "")
        if not header:
            return None
        user = self.users.get(header.removeprefix("Bearer "))
        if user is None or user.expired:
            raise HubError(401, "Invalid credentials in Authorization header")
        return user

    def may_write(self, user: User | None, namespace: str, name: str) -> bool:
        if user is None or user.role == "read":
            return False
        if user.role == "oidc":
            return f"{namespace}/{name}" == user.name
        if user.role == "fineGrained":
            owners = [s["entity"]["name"] for s in user.scopes or [] if "repo.write" in s["permissions"]]
            return bool({namespace, f"{namespace}/{name}"} & set(owners))
        return namespace == user.name or user.orgs.get(namespace) in ("admin", "write", "contributor")

    def find(self, request: Request, *, write: bool = False) -> Repo:
        segment = request.url.path.split("/")
        kind = KINDS.get(segment[2] if segment[1] == "api" else segment[1], "model")
        namespace, name = request.path_params["ns"], request.path_params["name"]
        user = self.user(request)
        if new := self.moved.get((kind, f"{namespace}/{name}")):
            path = request.url.path.replace(f"/{namespace}/{name}", f"/{new}", 1)
            raise HubError(307, path + (f"?{request.url.query}" if request.url.query else ""))
        repo = self.repos.get((kind, f"{namespace}/{name}"))
        mine = user is not None and (namespace in (user.name, *user.orgs) or user.name == f"{namespace}/{name}")
        if repo is None or (repo.private and not mine) or (repo.hidden and user is None):
            raise HubError(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not self.may_write(user, namespace, name):
            raise HubError(403, "You don't have the required permissions to perform this action")
        return repo

    def at(self, repo: Repo, revision: str) -> Commit:
        commit = repo.resolve(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # Accounts and cards.

    async def whoami(self, request: Request) -> Response:
        user = self.user(request)
        if user is None or user.role == "oidc":
            raise HubError(401, "Invalid username or password.")
        access: dict[str, Any] = {"displayName": "test", "role": user.role}
        if user.scopes is not None:
            access["fineGrained"] = {"scoped": user.scopes}
        return JSONResponse(
            {
                "type": "user",
                "name": user.name,
                "orgs": [{"name": name, "roleInOrg": role} for name, role in user.orgs.items()],
                "auth": {"type": "access_token", "accessToken": access},
            }
        )

    async def exchange(self, request: Request) -> Response:
        body = await request.json()
        if body.get("subject_token") != "ci-identity":
            raise HubError(400, "invalid_grant")
        token = "hf_jwt_" + hashlib.sha1(body["resource"].encode()).hexdigest()
        self.users[token] = User(body["resource"].removeprefix("datasets/"), role="oidc")
        return JSONResponse({"access_token": token, "token_type": "bearer", "expires_in": 3600})

    async def validate_yaml(self, request: Request) -> Response:
        content = (await request.json())["content"]
        match = re.match(r"---\n(.*?)\n---\n", content, flags=re.DOTALL)
        try:
            data = yaml.load(match[1], yaml.CSafeLoader) if match else {}
            if not isinstance(data, dict):
                raise ValueError("not a mapping")
            if not isinstance(data.get("license", ""), str):
                raise ValueError('"license" must be a string')
        except (yaml.YAMLError, ValueError) as error:
            return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
        return JSONResponse({"errors": [], "warnings": []})

    # Repositories.

    def add_repo(self, kind: str, name: str, *, private: bool = False) -> Repo:
        """Make a repository as the Hub does: with one commit that holds .gitattributes."""
        repo = self.repos[(kind, name)] = Repo(name, kind, private)
        blob = self.store(b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n", lfs=False)
        self.add_commit(repo, "main", None, "initial commit", "system", {".gitattributes": blob})
        return repo

    def add_commit(
        self,
        repo: Repo,
        ref: str,
        parent: Commit | None,
        title: str,
        author: str,
        files: dict[str, Blob],
        message: str = "",
    ) -> Commit:
        self._serial += 1
        oid = hashlib.sha1(f"{repo.kind} {repo.name} {self._serial}".encode()).hexdigest()
        commit = Commit(oid, parent.oid if parent else None, title, author, files, message)
        repo.commits[oid] = commit
        self.made.append((repo.kind, repo.name, oid))
        repo.refs[ref] = oid
        return commit

    def store(self, content: bytes, *, lfs: bool) -> Blob:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.folder / "blobs" / sha256
        path.write_bytes(content)
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return Blob(path, len(content), sha256, oid, lfs)

    def edit(
        self,
        kind: str,
        name: str,
        path: str,
        content: bytes,
        author: str = "visitor",
        ref: str = "main",
        title: str = "",
    ) -> None:
        """Change a file as another person would in the browser."""
        repo = self.repos[(kind, name)]
        head = self.at(repo, ref)
        files = {**head.files, path: self.store(content, lfs=False)}
        self.add_commit(repo, ref, head, title or f"Update {path}", author, files)

    async def create(self, request: Request) -> Response:
        body = await request.json()
        user = self.user(request)
        if user is None:
            raise HubError(401, "Invalid username or password.")
        namespace = body.get("organization") or user.name
        kind, name = body.get("type", "model"), f"{namespace}/{body['name']}"
        scoped = user.role == "fineGrained" and not self.may_write(user, namespace, "")
        if not self.may_write(user, namespace, body["name"]) or user.role == "oidc" or scoped:
            raise HubError(403, "You don't have the rights to create a repository under this namespace")
        url = f"{self.url}/{'' if kind == 'model' else kind + 's/'}{name}"
        if (kind, name) in self.repos:
            return JSONResponse({"error": "You already created this repo", "url": url}, 409)
        self.moved.pop((kind, name), None)  # the name leads to the new repository from now on
        repo = self.add_repo(kind, name, private=body.get("visibility") == "private")
        if kind == "space":  # the Hub puts a first page into it
            head = repo.commits[repo.refs["main"]]
            if body.get("sdk") != "static":
                raise HubError(400, "sdk must be static")
            for path in ("README.md", "index.html", "style.css"):
                head.files[path] = self.store(b"a first page", lfs=False)
        return JSONResponse({"url": url, "name": name})

    async def info(self, request: Request) -> Response:
        repo = self.find(request)
        commit = self.at(repo, request.path_params.get("rev", "main"))
        if expand := request.query_params.getlist("expand"):
            answer = {"_id": repo.name, "id": repo.name, "sha": commit.oid, "cardData": self.card(commit)}
            return JSONResponse(
                answer | ({"evalResults": self.eval_results(commit)} if "evalResults" in expand else {})
            )
        return JSONResponse(
            {
                "_id": repo.name,
                "id": repo.name,
                "author": repo.name.split("/")[0],
                "sha": commit.oid,
                "private": repo.private,
                "gated": "manual" if repo.gated else False,
                "disabled": False,
                "lastModified": NOW,
                "createdAt": NOW,
                "tags": repo.labels,
                "downloads": 0,
                "likes": 0,
                "siblings": [{"rfilename": path} for path in sorted(commit.files)],
            }
        )

    def card(self, commit: Commit) -> Any:
        text = commit.files["README.md"].path.read_text() if "README.md" in commit.files else ""
        match = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
        return yaml.load(match[1], yaml.CSafeLoader) if match else None

    def eval_results(self, commit: Commit) -> list[dict[str, Any]]:
        """Return what a commit holds in `.eval_results/`, each entry as the Hub gives it; an invalid file with its error."""
        found: list[dict[str, Any]] = []
        for path in sorted(commit.files):
            if not re.fullmatch(r"\.eval_results/[^/]+\.yaml", path):
                continue
            try:
                for entry in yaml.load(commit.files[path].path.read_bytes(), yaml.CSafeLoader):
                    assert isinstance(entry["value"], int | float)
                    assert entry["dataset"]["id"]
                    assert entry["dataset"]["task_id"]
                    found.append({"filename": path, "data": entry})
            except (yaml.YAMLError, KeyError, TypeError, AssertionError) as error:
                found.append({"filename": path, "error": str(error)})
        return found

    async def auth_check(self, request: Request) -> Response:
        self.find(request, write=request.url.path.endswith("/write"))
        return JSONResponse({})

    def rename(self, kind: str, name: str, new: str) -> None:
        """Rename a repository as its owner does; the old name leads to the new one."""
        repo = self.repos.pop((kind, name))
        repo.name = new
        self.repos[(kind, new)] = repo
        self.moved[(kind, name)] = new

    async def move(self, request: Request) -> Response:
        body, user = await request.json(), self.user(request)
        kind, name, new = body["type"], body["fromRepo"], body["toRepo"]
        if (kind, name) not in self.repos:
            raise HubError(404, "Repository not found", "RepoNotFound")
        if (
            user is None
            or user.role == "oidc"
            or not all(self.may_write(user, n.split("/")[0], "") for n in (name, new))
        ):
            raise HubError(403, "You don't have the rights to rename this repository")
        if (kind, new) in self.repos:
            raise HubError(409, "The new name is taken")
        self.rename(kind, name, new)
        return JSONResponse({})

    async def settings(self, request: Request) -> Response:
        repo = self.find(request, write=True)
        body = await request.json()
        if repo.private and body.get("visibility") == "public":
            self.revealed.append((repo.kind, repo.name, self.at(repo, "main").files))
        repo.private = body.get("visibility", "private" if repo.private else "public") == "private"
        return JSONResponse(body)

    async def tree(self, request: Request) -> Response:
        repo = self.find(request)
        rest = request.path_params["rest"]
        revision = max(
            (r for r in (*repo.refs, *repo.tags, *repo.commits) if (rest + "/").startswith(r + "/")),
            key=len,
            default=rest,
        )
        commit = self.at(repo, revision)
        folder = rest[len(revision) :].strip("/")
        recursive = request.query_params.get("recursive", "false").lower() in ("true", "1")
        entries: dict[str, dict[str, Any]] = {}
        for path, blob in sorted(commit.files.items()):
            if folder and not path.startswith(folder + "/"):
                continue
            parts = path[len(folder) + 1 if folder else 0 :].split("/")
            for depth in range(1, len(parts)):
                parent = "/".join(([folder] if folder else []) + parts[:depth])
                if recursive or depth == 1:
                    entries.setdefault(parent, {"type": "directory", "path": parent, "oid": "0" * 40, "size": 0})
            if recursive or len(parts) == 1:
                entries[path] = self.entry(path, blob)
        if folder and not entries:
            raise HubError(404, "Entry not found", "EntryNotFound")
        start = int(request.query_params.get("cursor", 0))
        page = list(entries.values())[start : start + 20]
        headers = {}
        if start + 20 < len(entries):
            url = request.url.include_query_params(cursor=start + 20)
            headers["Link"] = f'<{url}>; rel="next"'
        return JSONResponse(page, headers=headers)

    def entry(self, path: str, blob: Blob) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "file", "path": path, "size": blob.size, "oid": blob.oid}
        if blob.lfs:
            out["lfs"] = {"oid": blob.sha256, "size": blob.size, "pointerSize": 134}
        return out

    async def paths_info(self, request: Request) -> Response:
        repo = self.find(request)
        commit = self.at(repo, request.path_params["rev"])
        if "json" in request.headers.get("content-type", ""):
            paths = (await request.json())["paths"]
        else:
            paths = parse_qs((await request.body()).decode())["paths"]
        found = []
        for path in paths:
            if path in commit.files:
                found.append(self.entry(path, commit.files[path]))
            elif any(name.startswith(f"{path}/") for name in commit.files):
                found.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        return JSONResponse(found)

    async def list_refs(self, request: Request) -> Response:
        repo = self.find(request)
        out: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
        for name, oid in repo.refs.items():
            out["branches"].append({"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid})
        out["tags"] = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in repo.tags.items()]
        return JSONResponse(out)

    async def commits(self, request: Request) -> Response:
        repo = self.find(request)
        history = repo.history(self.at(repo, request.path_params["rev"]))
        return JSONResponse(
            [
                {"id": c.oid, "title": c.title, "message": c.message, "date": NOW, "authors": [{"user": c.author}]}
                for c in history
            ]
        )

    async def tag(self, request: Request) -> Response:
        repo = self.find(request, write=True)
        name = (await request.json())["tag"]
        if name in repo.tags:
            raise HubError(409, f"Tag {name} already exists")
        repo.tags[name] = self.at(repo, request.path_params["rev"]).oid
        return JSONResponse({})

    # Uploads.

    async def preupload(self, request: Request) -> Response:
        repo = self.find(request, write=True)
        commit = self.at(repo, request.path_params["rev"])
        files = []
        for entry in (await request.json())["files"]:
            path = entry["path"]
            lfs = entry["size"] > LFS_BYTES or path.endswith(LFS_ENDINGS)
            answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if path in commit.files:
                known = commit.files[path]
                answer["oid"] = known.sha256 if known.lfs else known.oid
            files.append(answer)
        return JSONResponse({"files": files})

    async def batch(self, request: Request) -> Response:
        self.find(request)
        user = self.user(request)
        if user is None or user.role == "read":
            raise HubError(403, "Read-only token")
        body = await request.json()
        objects = []
        for entry in body["objects"]:
            answer: dict[str, Any] = {"oid": entry["oid"], "size": entry["size"]}
            if entry["oid"] not in self.objects:
                answer["actions"] = {"upload": {"href": f"{self.url}/lfs/{entry['oid']}"}}
            objects.append(answer)
        return JSONResponse({"transfer": "basic", "objects": objects})

    async def put_object(self, request: Request) -> Response:
        """Keep an uploaded object; blocks of zeros become holes, so that sparse files stay small."""
        oid = request.path_params["oid"]
        digest, size = hashlib.sha256(), 0
        path = self.folder / "blobs" / oid
        with path.open("wb") as stream:
            async for block in request.stream():
                digest.update(block)
                size += len(block)
                if block.count(0) == len(block):
                    stream.seek(size)
                else:
                    stream.write(block)
            stream.truncate(size)
        if digest.hexdigest() != oid:
            path.unlink()
            raise HubError(400, "the content is not the announced one")
        self.objects[oid] = Blob(path, size, oid, hashlib.sha1(oid.encode()).hexdigest(), lfs=True)
        return Response()

    async def commit(self, request: Request) -> Response:
        repo = self.find(request, write=True)
        user = self.user(request)
        if user is None or user.role == "read":
            raise HubError(403, "Read-only token")
        revision = request.path_params["rev"]
        head = self.at(repo, revision)
        lines = [json.loads(line) for line in (await request.body()).splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, head.oid):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = dict(head.files)
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = self.store(base64.b64decode(value["content"]), lfs=False)
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.objects:
                    raise HubError(400, f"LFS object {value['oid']} is missing")
                files[value["path"]] = self.objects[value["oid"]]
            elif line["key"] == "deletedFile" and files.pop(value["path"], None) is None:
                raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
        url = f"{self.url}/{'' if repo.kind == 'model' else repo.kind + 's/'}{repo.name}"
        commit = self.add_commit(
            repo, revision, head, header["summary"], user.name, files, header.get("description", "")
        )
        return JSONResponse({"success": True, "commitOid": commit.oid, "commitUrl": f"{url}/commit/{commit.oid}"})

    # Downloads.

    async def resolve(self, request: Request) -> Response:
        repo = self.find(request)
        rest = request.path_params["rest"]
        revision = max(
            (r for r in (*repo.refs, *repo.tags, *repo.commits) if rest.startswith(r + "/")), key=len, default=""
        )
        commit = self.at(repo, revision or rest.split("/")[0])
        if repo.gated and self.user(request) is None:
            raise HubError(401, f"Access to model {repo.name} is restricted", "GatedRepo")
        blob = commit.files.get(rest[len(revision) + 1 :])
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes", "Access-Control-Allow-Origin": "*"}
        if blob is None:
            headers |= {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}
            return PlainTextResponse("Entry not found", 404, headers)
        etag = blob.sha256 if blob.lfs else blob.oid
        headers["ETag"] = f'"{etag}"'
        if blob.lfs:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(blob.size)}
        start, end, code = 0, blob.size, 200
        asked = re.match(r"bytes=(\d+)-(\d*)$", request.headers.get("range", ""))
        if asked:
            start, end, code = int(asked[1]), min(int(asked[2] or blob.size - 1) + 1, blob.size), 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
        headers["Content-Length"] = str(end - start)
        if request.method == "HEAD":
            return Response(status_code=code, headers=headers)
        return StreamingResponse(_read(blob.path, start, end), code, headers, "application/octet-stream")


async def _read(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while start < end:
            block = stream.read(min(BLOCK, end - start))
            start += len(block)
            yield block


class InProcess(httpx2.BaseTransport):
    """Sends requests to the server in this process.

    Attributes:
        before: Called with each request before it is answered, and what it returns or raises is the answer.
        after: Called with each request and its answer, which it may replace.
    """

    def __init__(self, hub: HubServer) -> None:
        self.hub, self.loop = hub, asyncio.new_event_loop()
        self._one = threading.Lock()  # huggingface_hub uploads several files in threads
        self.before: Callable[[httpx2.Request], httpx2.Response | None] = lambda request: None
        self.after: Callable[[httpx2.Request, httpx2.Response], httpx2.Response] = lambda request, response: response

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        return self.before(request) or self.after(request, self.answer(request, body))

    def answer(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method, "scheme": "https",
            "headers": [(k.lower(), v) for k, v in request.headers.raw], "path": request.url.path, "root_path": "",
            "raw_path": request.url.raw_path.split(b"?")[0], "query_string": request.url.query,
            "server": (request.url.host, 443), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        found: dict[str, Any] = {"body": b""}

        async def receive() -> dict[str, Any]:
            if found.setdefault("read", False):
                await asyncio.Event().wait()  # this client does not go away
            found["read"] = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                found.update(status_code=message["status"], headers=message.get("headers", []))
            else:
                found["body"] += message.get("body", b"")

        with self._one:
            self.loop.run_until_complete(self.hub.asgi(scope, receive, send))
        return httpx2.Response(found["status_code"], headers=found["headers"], content=found["body"], request=request)
