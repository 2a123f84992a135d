"""The page in a real browser: who may what. Pools and their grants, groups, roles and why, realms, the own account."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import expect

from support.browser import PASSWORD, USER, Visit, visit
from support.daemon import TestDaemon

pytestmark = pytest.mark.usefixtures("one_browser")


@pytest.fixture
def page(daemon: TestDaemon) -> Iterator[Visit]:
    with visit(daemon) as found:
        found.log_in()
        yield found


def test_a_pool_gets_members_and_a_grant(page: Visit, daemon: TestDaemon, tiny: str) -> None:
    daemon.create(140, tiny, name="pooled")
    daemon.post("/access/users", userid="pooler@pve", password="a good password")
    screen = page.page
    page.go("#/pools")
    screen.get_by_role("button", name="New pool").click()
    form = screen.get_by_role("dialog")
    form.get_by_label("Pool").fill("shop")
    form.get_by_role("button", name="Make the pool").click()
    screen.get_by_role("link", name="shop").click()
    screen.get_by_role("button", name="Put in").click()
    form.get_by_label("Guest").click()
    screen.get_by_role("option", name="140 (pooled)").click()
    form.get_by_role("button", name="Put in").click()
    members = screen.get_by_role("table", name="Members of shop")
    expect(members).to_contain_text("140 (pooled)")
    screen.get_by_role("button", name="Grant on it").click()
    expect(form.get_by_label("Path")).to_have_value("/pool/shop")
    form.get_by_label("User, group or token").click()
    screen.get_by_role("option", name="pooler@pve").click()
    form.get_by_label("Role").click()
    screen.get_by_role("option", name="PVEVMUser").click()
    form.get_by_role("button", name="Grant it").click()
    expect(screen.get_by_role("table", name="Grants")).to_contain_text("user pooler@pve")
    page.go("#/qemu/140/permissions")
    grants = screen.get_by_role("table", name="Grants", exact=True)
    expect(grants).to_contain_text("user pooler@pve")
    screen.get_by_role("button", name="New grant").click()
    expect(form.get_by_label("Path")).to_have_value("/vms/140")
    form.get_by_label("User, group or token").click()
    screen.get_by_role("option", name="pooler@pve").click()
    form.get_by_label("Role").click()
    screen.get_by_role("option", name="PVEAuditor").click()
    form.get_by_role("button", name="Grant it").click()
    expect(grants.get_by_role("row", name="PVEAuditor")).to_be_visible()
    screen.get_by_label("User or token").fill("pooler@pve")
    screen.get_by_role("button", name="Ask").click()
    expect(screen.get_by_text("\u2713")).to_be_visible()
    grants.get_by_role("row", name="PVEAuditor").get_by_role("button", name="Take away").click()
    expect(grants.get_by_role("row", name="PVEAuditor")).to_have_count(0)
    assert not page.faults()
    page.go("#/pools/shop")
    members.get_by_role("button", name="Take out").click()
    expect(members).to_have_count(0)
    assert daemon.get("/pools/shop")["members"] == []
    screen.get_by_role("button", name="Remove", exact=True).click()
    screen.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(screen.get_by_text("There are no pools yet.")).to_be_visible()
    assert page.complaints == []


def test_the_own_account_gets_a_second_factor(page: Visit, daemon: TestDaemon) -> None:
    screen = page.page
    page.go("#/settings")
    screen.get_by_role("button", name="Add an authenticator").click()
    form = screen.get_by_role("dialog")
    expect(form.get_by_role("img", name="QR code for the authenticator")).to_be_visible()
    secret = form.locator(".mantine-Code-root").inner_text()
    form.get_by_label("Its code now").fill(_code(secret))
    form.get_by_label("Description").fill("phone")
    form.get_by_role("textbox", name="Your password").fill(PASSWORD)
    form.get_by_role("button", name="Add it").click()
    factors = screen.get_by_role("table", name="Second factors")
    expect(factors.get_by_role("row").filter(has_text="phone")).to_contain_text("authenticator")
    factors.get_by_role("button", name="Remove").click()
    form.get_by_role("textbox", name="Your password").fill(PASSWORD)
    form.get_by_role("button", name="Remove").click()
    expect(screen.get_by_text("There is none")).to_be_visible()
    assert daemon.get(f"/access/tfa/{USER}") == []
    screen.get_by_text("Dark", exact=True).click()
    expect(screen.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    screen.get_by_role("button", name="New metric server").click()
    form.get_by_label("Name").fill("graph")
    form.get_by_label("Address").fill("127.0.0.1")
    form.get_by_role("button", name="Send figures there").click()
    servers = screen.get_by_role("table", name="Metric servers")
    expect(servers).to_contain_text("127.0.0.1:2003")
    servers.get_by_role("button", name="Change").click()
    form.get_by_label("Port").fill("2004")
    form.get_by_role("button", name="Save").click()
    expect(servers).to_contain_text("127.0.0.1:2004")
    daemon.call("DELETE", "/cluster/metrics/server/graph")
    assert page.complaints == []


def _code(secret: str) -> str:
    return TOTP(base64.b32decode(secret), 6, SHA1(), 30).generate(int(time.time())).decode()


def test_groups_roles_and_why(page: Visit, daemon: TestDaemon) -> None:
    daemon.post("/access/users", userid="asker@pve", password="a good password")
    screen = page.page
    form = screen.get_by_role("dialog")
    page.go("#/access/groups")
    screen.get_by_role("button", name="New group").click()
    form.get_by_label("Name").fill("ops")
    form.get_by_label("Members").fill("asker@pve")
    form.get_by_role("button", name="Make the group").click()
    expect(screen.get_by_role("row", name="ops")).to_contain_text("asker@pve")
    page.go("#/access/roles")
    screen.get_by_role("button", name="New role").click()
    form.get_by_label("Name").fill("Starter")
    form.get_by_label("Privileges").fill("VM.Audit VM.PowerMgmt")
    form.get_by_role("button", name="Make the role").click()
    expect(screen.get_by_role("row", name="Starter")).to_contain_text("VM.Audit, VM.PowerMgmt")
    daemon.put("/access/acl", path="/vms", groups="ops", roles="Starter")
    page.go("#/access/why")
    screen.get_by_label("User or token").fill("asker@pve")
    screen.get_by_role("button", name="Ask").click()
    expect(screen.get_by_text("asker@pve may.")).to_be_visible()
    expect(screen.get_by_role("table", name="Grants that were looked at")).to_contain_text("Starter")
    screen.get_by_label("Privileges").fill("VM.Allocate")
    screen.get_by_role("button", name="Ask").click()
    expect(screen.get_by_text("asker@pve may not.")).to_be_visible()
    page.go("#/access/groups")
    row = screen.get_by_role("row", name="ops")
    row.get_by_role("button", name="Change").click()
    form.get_by_label("Members").fill("")
    form.get_by_role("button", name="Save").click()
    expect(row).not_to_contain_text("asker@pve")
    assert daemon.get("/access/groups/ops")["members"] == []
    assert page.complaints == []


def test_a_realm_is_made_changed_and_removed(page: Visit, daemon: TestDaemon) -> None:
    screen = page.page
    page.refusals = True
    page.go("#/access/realms")
    screen.get_by_role("button", name="New realm").click()
    form = screen.get_by_role("dialog")
    form.get_by_label("Kind").click()
    screen.get_by_role("option", name="LDAP").click()
    form.get_by_role("textbox", name="Name", exact=True).fill("staff")
    form.get_by_role("textbox", name="Server", exact=True).fill("ldap.example.org")
    form.get_by_role("textbox", name="Base DN", exact=True).fill("dc=example,dc=org")
    form.get_by_label("bind DN").fill("cn=tarmac")
    form.get_by_label("The password for that").fill("a bind secret")
    form.get_by_text("All else").click()
    form.get_by_label("Synchronized are").click()
    screen.get_by_role("option", name="users", exact=True).click()
    form.get_by_label("New users may log in at once").uncheck()
    form.get_by_role("button", name="Make the realm").click()
    row = screen.get_by_role("row", name="staff")
    expect(row.get_by_role("button", name="Synchronize")).to_be_visible()
    made = daemon.get("/access/domains/staff")
    assert (made["type"], made["server1"], made["user_attr"]) == ("ldap", "ldap.example.org", "uid")
    assert made["sync-defaults-options"] == "scope=users,enable-new=0"
    row.get_by_role("button", name="Change").click()
    expect(form.get_by_role("textbox", name="Server", exact=True)).to_have_value("ldap.example.org")
    expect(form.get_by_label("The password for that")).to_have_value("")
    form.get_by_label("Comment").fill("the staff")
    daemon.put("/access/domains/staff", port=3890)
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("changed")  # meanwhile, by somebody else
    page.page.keyboard.press("Escape")
    row.get_by_role("button", name="Change").click()
    form.get_by_label("Comment").fill("the staff")
    form.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("the staff")
    assert daemon.get("/access/domains/staff")["port"] == 3890
    told = daemon.get("/cluster/history", kind="realm", name="staff", limit=1)[0]
    assert [one["kind"] for one in told["objects"]] == ["realm"], "the password was left alone"
    row.get_by_role("button", name="Remove").click()
    screen.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
