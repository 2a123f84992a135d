"""Who may do what: `services.access`."""

from __future__ import annotations

from tarmac.composition.ground import Ground
from tarmac.drivers.auth.ldap import Directory
from tarmac.drivers.auth.pam import Pam
from tarmac.lib.passwords import Hasher
from tarmac.lib.signing import Signer
from tarmac.model.realms import RealmOptions
from tarmac.services.access.acls import Acls
from tarmac.services.access.groups import Groups
from tarmac.services.access.login import Login
from tarmac.services.access.login_limits import LoginLimits
from tarmac.services.access.openid import OpenIdLogins
from tarmac.services.access.pools import Pools
from tarmac.services.access.realm_jobs import RealmJobs
from tarmac.services.access.realm_sync import RealmSync
from tarmac.services.access.realms import Realms
from tarmac.services.access.roles import Roles
from tarmac.services.access.tfa import SecondFactors
from tarmac.services.access.tickets import Tickets
from tarmac.services.access.tokens import Tokens
from tarmac.services.access.users import Users
from tarmac.services.access.why import AccessWhy
from tarmac.services.node.certificates import Certificates
from tarmac.services.registry import Services


async def add_people(ground: Ground, s: Services) -> None:
    users, access, hasher = ground.users, ground.access, Hasher()
    s.access, s.access_why = access, AccessWhy(users, access)
    s.acls, s.groups, s.roles = Acls(users, access), Groups(users, access), Roles(users)
    s.pools = Pools(users, access)
    s.users, s.tokens = Users(users, access, hasher), Tokens(users)
    s.certificates = Certificates(ground.data / "pki")
    s.tickets = Tickets(users, await Signer.open(ground.data / "pki"))
    s.second_factors = SecondFactors(users, access)
    s.realms = Realms(users, _try_connection)
    s.realm_sync = RealmSync(directory=users, realms=s.realms, jobs=ground.jobs, registry=ground.registry)
    s.realm_jobs = RealmJobs(store=ground.store, access=access, realms=s.realms, sync=s.realm_sync)
    await s.realm_jobs.load()
    limits = LoginLimits()
    s.login = Login(
        directory=users,
        access=access,
        tickets=s.tickets,
        hasher=hasher,
        factors=s.second_factors,
        pam=Pam(),
        realms=s.realms,
        data_dir=ground.data,
        limits=limits,
    )
    s.openid = OpenIdLogins(directory=users, realms=s.realms, login=s.login, limits=limits)


async def _try_connection(kind: str, options: RealmOptions) -> None:
    await Directory(kind, options).check()
