"""What `tarmac up` says at its end: where the guest is, how to log in, why it may be slow, what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from tarmac.faces.cli.client import Client
from tarmac.faces.cli.errors import CliError
from tarmac.faces.cli.session import Session
from tarmac.faces.cli.typed import program
from tarmac.faces.cli.written import ssh
from tarmac.lib.places import default_data_dir


def report(session: Session, node: str, vmid: int, *, ssh_answers: bool) -> None:
    """Print it; for programs as one object."""
    facts = {**gather(session, node, vmid), "ssh": ssh_answers, "image": session.options.image}
    if session.output == "table":
        print(text_of(facts))
    else:
        session.show(facts)


def gather(session: Session, node: str, vmid: int) -> dict[str, Any]:
    """Everything the report tells."""
    client = session.client
    current = client.get(f"/nodes/{node}/qemu/{vmid}/status/current")
    login = ssh.login_of(session, node, vmid)
    data = client.data_dir
    words = ssh.command(login, data)
    accelerator = client.get(f"/nodes/{node}/status").get("accelerator") or {}
    kvm = bool(accelerator.get("kvm"))
    return {
        "vmid": vmid,
        "name": current.get("name"),
        "status": current.get("status"),
        "user": login.user,
        "address": login.address,
        "port": login.port,
        "login": shlex.join(words),
        "accelerator": "kvm" if kvm else "tcg",
        "reason": "" if kvm else str(accelerator.get("reason") or "KVM is not available"),
        "web": web_login(client),
        "data_dir": str(data or ""),
    }


def web_login(client: Client) -> dict[str, str]:
    """The web address, user and a password that is good once; empty where the daemon gives none."""
    try:
        link = client.post("/access/login-link")
    except CliError:
        return {}
    return {key: str(value) for key, value in link.items()} if isinstance(link, dict) else {}


def login_link(session: Session) -> int:
    """Print a link that logs root@pam in once."""
    link = session.client.post("/access/login-link")
    if session.output != "table":
        session.show(link)
        return 0
    print(link["url"])
    session.say(f"Good once, within an hour. By hand: {link['web']} as {link['username']}, password {link['password']}")
    return 0


def text_of(facts: dict[str, Any]) -> str:
    """The report for people."""
    vmid = facts["vmid"]
    data = Path(facts["data_dir"]) if facts["data_dir"] else None
    suffix = "" if data is None or data == default_data_dir() else f" --data-dir {shlex.quote(str(data))}"
    tarmac = program()
    lines = [
        "",
        f"Guest {vmid} ({facts['name']}) is {facts['status']} and answers.",
        "",
    ]
    if facts["ssh"]:
        lines += [
            f"  address      {facts['address']} port {facts['port']}",
            f"  user         {facts['user']} (by ssh key)",
            f"  log in       {tarmac} vm ssh {vmid}{suffix}",
            f"               {facts['login']}",
        ]
    else:
        lines += [
            f"  log in       {tarmac} vm console {vmid}{suffix}",
            f"               once an ssh server answers in it: {tarmac} vm ssh {vmid}{suffix}",
        ]
    if facts["accelerator"] == "kvm":
        lines.append("  accelerator  KVM")
    else:
        lines += [
            "  accelerator  none: it is emulated, and slower than it could be",
            f"               {facts['reason']}",
        ]
    if web := facts["web"]:
        lines.append(f"  web and API  {web.get('web')}")
        lines.append(
            f"               {web.get('username')}, password {web.get('password')} (good once, within an hour)"
        )
    return "\n".join([*lines, "", "What to type next:", *_next(f"{tarmac} vm", facts, suffix)])


def _next(vm: str, facts: dict[str, Any], suffix: str) -> list[str]:
    """The next commands, each with its meaning in a second column."""
    vmid = facts["vmid"]
    meanings = {
        f"{vm} list{suffix}": "all guests",
        f"{vm} console {vmid}{suffix}": "its serial console; Ctrl-] leaves",
        f"{vm} exec {vmid}{suffix} -- uname -a": "a command in it",
        f"{vm} shutdown {vmid}{suffix}": "shut it down",
        f"{vm.removesuffix(' vm')} up --name second --image {shlex.quote(facts['image'])}{suffix}": "another one",
    }
    width = max(len(words) for words in meanings)
    return [f"  {words:{width}}  {meaning}" for words, meaning in meanings.items()]
