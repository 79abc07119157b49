"""An engine process as far as control can tell: speaks the channel, serves nothing.

Its behaviour is in the environment: FAKE_ENGINE may be ``dies_at_start``, ``dies_at_apply``, ``refuses``,
``other_version`` or empty.
"""

import asyncio
import json
import os
import struct
import sys
from typing import Any

SETTINGS: dict[str, Any] = json.loads(sys.argv[1])
MODE = os.environ.get("FAKE_ENGINE", "")
VERSION = os.environ["FAKE_ENGINE_VERSION"]
LENGTH = struct.Struct(">I")


class Engine:
    def __init__(self) -> None:
        self.plan: int | None = None
        self.bound: dict[str, dict[str, str]] = {}
        self.generations: dict[str, int] = {}
        self.settings: list[dict[str, Any]] = []
        self.ended = asyncio.Event()

    def hello(self) -> dict[str, Any]:
        return {
            "protocol": 1,
            "version": "other" if MODE == "other_version" else VERSION,
            "pid": os.getpid(),
            "workers": SETTINGS["workers"],
            "plan_version": self.plan,
            "bound": self.bound,
            "settings": SETTINGS,
            "admin": [],
            "stopping": False,
        }

    def stats(self) -> dict[str, Any]:
        pools = [{"name": name, "generation": number} for name, number in self.generations.items()]
        return {"plan_version": self.plan, "ready": self.plan is not None, "pools": pools}

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        match call["call"]:
            case "apply":
                return self.apply(call["spec"])
            case "members":
                self.generations[call["members"]["pool"]] = call["members"]["generation"]
            case "checked":
                return {"ok": {"more": not call["checked"]["good"]}}
            case "set":
                self.settings.append(call["set"])
            case "stats":
                return {"ok": self.stats()}
            case "command" if "stop" in call["command"]:
                self.ended.set()
        return {"ok": {}}

    def apply(self, spec: dict[str, Any]) -> dict[str, Any]:
        if MODE == "dies_at_apply":
            os._exit(3)
        if MODE == "refuses" or spec.get("refuse"):
            errors = [{"path": ["pools", "app"], "message": "no"}]
            return {"error": {"kind": "refused", "errors": errors}}
        self.plan = spec["version"]
        self.bound = {
            listener["name"]: {
                bind["text"]: f"127.0.0.1:{bind['port_hint'] or 4001}" for bind in listener["binds"]
            }
            for listener in spec["listeners"]
        }
        return {"ok": {"version": self.plan, "bound": self.bound}}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.send(writer, {"hello": self.hello()})
        try:
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(4))
                frame = json.loads(await reader.readexactly(length))
                if "call" in frame:
                    self.send(writer, {"id": frame["id"], **self.answer(frame)})
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def send(self, writer: asyncio.StreamWriter, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        writer.write(LENGTH.pack(len(body)) + body)


async def main() -> None:
    if MODE == "dies_at_start":
        os._exit(3)
    engine = Engine()
    server = await asyncio.start_unix_server(engine.serve, f"{SETTINGS['directory']}/engine.sock")
    os.write(SETTINGS["ready_fd"], b"ready\n")
    os.close(SETTINGS["ready_fd"])
    async with server:
        await engine.ended.wait()


asyncio.run(main())
