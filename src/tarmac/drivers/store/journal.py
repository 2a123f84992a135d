"""The node's own journal of jobs: what was meant, what was done. SQLite, every answered write on disk.

It stays local to the node also in a cluster, so that a node without quorum can finish or undo its work. Writes of
concurrent jobs share one transaction (and one fsync): a writer thread takes all that has come in meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tarmac.drivers.store.sqlite_thread import SqliteThread
from tarmac.model.job import JobRecord, JobState, StepRecord, StepState

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  seq INTEGER PRIMARY KEY, upid TEXT UNIQUE NOT NULL, node TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  user TEXT NOT NULL, args TEXT NOT NULL, queues TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL,
  ended REAL, exitstatus TEXT, error TEXT, result TEXT);
CREATE INDEX IF NOT EXISTS jobs_open ON jobs (state) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS jobs_by_id ON jobs (id);
CREATE TABLE IF NOT EXISTS steps (
  upid TEXT NOT NULL, position INTEGER NOT NULL, step TEXT NOT NULL, version INTEGER NOT NULL, title TEXT NOT NULL,
  args TEXT NOT NULL, state TEXT NOT NULL, result TEXT, PRIMARY KEY (upid, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS takes (
  upid TEXT NOT NULL, position INTEGER NOT NULL, storage TEXT NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (upid, position, storage)) WITHOUT ROWID;
"""
_COLUMNS = "upid, node, kind, id, user, args, queues, state, created, ended, exitstatus, error, result"


class Journal:
    """Jobs and their steps on disk. Every `async` method returns only when the write is durable.

    Raises NoSpace when the disk is full, DataCorrupt when the file is damaged, Unavailable when it was written by a
    newer version; after a failed write nothing of it is there."""

    def __init__(self, thread: SqliteThread) -> None:
        self._thread = thread

    @classmethod
    async def open(cls, path: Path) -> Journal:
        return cls(await SqliteThread.open(path, _SCHEMA, SCHEMA_VERSION))

    async def close(self) -> None:
        await self._thread.close()

    async def add(self, job: JobRecord) -> None:
        """A new job, before anything of it has happened."""
        row = (
            job.upid, job.node, job.kind, job.id, job.user, json.dumps(dict(job.args)), json.dumps(job.queues),
            job.state.value, job.created,
        )  # fmt: skip
        columns = "upid, node, kind, id, user, args, queues, state, created"
        sql = f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        await self._thread.write(lambda db: db.execute(sql, row))

    async def planned(self, upid: str, steps: Sequence[StepRecord], result: Any = None) -> None:
        """The plan of a job, whole, before its first step; `result`: what it already says of the outcome."""
        rows = [(upid, s.position, s.step, s.version, s.title, json.dumps(dict(s.args)), s.state.value) for s in steps]
        takes = [(upid, s.position, storage, size) for s in steps for storage, size in s.takes.items()]

        def insert(db: sqlite3.Connection) -> None:
            values = (JobState.RUNNING.value, _dump(result), upid)
            db.execute("UPDATE jobs SET state = ?, result = ? WHERE upid = ?", values)
            columns = "upid, position, step, version, title, args, state"
            db.executemany(f"INSERT INTO steps ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT INTO takes (upid, position, storage, bytes) VALUES (?, ?, ?, ?)", takes)

        await self._thread.write(insert)

    async def mark(self, upid: str, position: int, state: StepState, result: Any = None) -> None:
        """A step's new state; INTENT is durable before the effect begins."""
        row = (state.value, json.dumps(result), upid, position)
        await self._thread.write(lambda db: db.execute(_MARK, row))

    async def step_on(self, upid: str, done: int, result: Any, next: int) -> None:
        """One step is done and the next one's effect begins: both in one write."""
        rows = [
            (StepState.DONE.value, json.dumps(result), upid, done),
            (StepState.INTENT.value, None, upid, next),
        ]
        await self._thread.write(lambda db: db.executemany(_MARK, rows))

    async def set_state(self, upid: str, state: JobState) -> None:
        await self._thread.write(lambda db: db.execute("UPDATE jobs SET state = ? WHERE upid = ?", (state.value, upid)))

    async def end(self, job: JobRecord, *, last: tuple[int, Any] | None = None) -> None:
        """How the job ended; from now on it is history. `last`: position and result of a step whose end was not
        written yet."""
        row = (
            job.state.value, job.ended, job.exitstatus, _dump(job.error), _dump(job.result), job.upid,
        )  # fmt: skip
        sql = "UPDATE jobs SET state = ?, ended = ?, exitstatus = ?, error = ?, result = ? WHERE upid = ?"

        def write(db: sqlite3.Connection) -> None:
            if last is not None:
                db.execute(_MARK, (StepState.DONE.value, json.dumps(last[1]), job.upid, last[0]))
            db.execute(sql, row)
            db.execute("DELETE FROM takes WHERE upid = ?", (job.upid,))

        await self._thread.write(write)

    async def unfinished(self) -> list[JobRecord]:
        """Jobs that had not ended when the last daemon did, oldest first, with their steps."""

        def read(db: sqlite3.Connection) -> list[JobRecord]:
            jobs = [_job(r) for r in db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE ended IS NULL ORDER BY seq")]
            for job in jobs:
                job.steps = [_step(r) for r in db.execute(_STEPS, (job.upid,))]
                for position, storage, size in db.execute(_TAKES, (job.upid,)):
                    step = job.steps[position]
                    step.takes = {**step.takes, storage: size}
            return jobs

        return await self._thread.read(read)

    async def get(self, upid: str) -> JobRecord | None:
        def read(db: sqlite3.Connection) -> JobRecord | None:
            row = db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE upid = ?", (upid,)).fetchone()
            if row is None:
                return None
            job = _job(row)
            job.steps = [_step(r) for r in db.execute(_STEPS, (upid,))]
            return job

        return await self._thread.read(read)

    async def find(
        self, where: Sequence[tuple[str, Sequence[Any]]], *, start: int, limit: int
    ) -> tuple[int, list[JobRecord]]:
        """Ended jobs, newest first, that fulfil every condition `(sql with ?, values)`; with how many there are."""
        clause = " AND ".join(["ended IS NOT NULL", *(sql for sql, _ in where)])
        values = [v for _, group in where for v in group]

        def read(db: sqlite3.Connection) -> tuple[int, list[JobRecord]]:
            (total,) = db.execute(f"SELECT count(*) FROM jobs WHERE {clause}", values).fetchone()
            sql = f"SELECT {_COLUMNS} FROM jobs WHERE {clause} ORDER BY seq DESC LIMIT ? OFFSET ?"
            return int(total), [_job(r) for r in db.execute(sql, [*values, limit, start])]

        return await self._thread.read(read)

    async def surplus(self, *, keep: int, before: float, limit: int) -> list[str]:
        """The oldest ended jobs beyond the newest `keep`, or that ended before that time, at most `limit` of them."""
        sql = """SELECT upid FROM jobs WHERE ended IS NOT NULL AND (ended < ? OR seq <= coalesce(
            (SELECT seq FROM jobs WHERE ended IS NOT NULL ORDER BY seq DESC LIMIT 1 OFFSET ?), -1))
            ORDER BY seq LIMIT ?"""
        return await self._thread.read(lambda db: [row[0] for row in db.execute(sql, (before, keep, limit))])

    async def forget(self, upids: Sequence[str]) -> None:
        """Remove ended jobs and their steps; those that have not ended, and unknown ones, are left alone."""

        def remove(db: sqlite3.Connection) -> None:
            for upid in upids:
                if db.execute("DELETE FROM jobs WHERE upid = ? AND ended IS NOT NULL", (upid,)).rowcount:
                    db.execute("DELETE FROM steps WHERE upid = ?", (upid,))

        await self._thread.write(remove)


_STEPS = "SELECT position, step, version, title, args, state, result FROM steps WHERE upid = ? ORDER BY position"
_MARK = "UPDATE steps SET state = ?, result = ? WHERE upid = ? AND position = ?"
_TAKES = "SELECT position, storage, bytes FROM takes WHERE upid = ?"


def _dump(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value)


def _job(row: Iterable[Any]) -> JobRecord:
    upid, node, kind, id_, user, args, queues, state, created, ended, exitstatus, error, result = row
    return JobRecord(
        upid=upid,
        node=node,
        kind=kind,
        id=id_,
        user=user,
        args=json.loads(args),
        queues=tuple(json.loads(queues)),
        state=JobState(state),
        created=created,
        ended=ended,
        exitstatus=exitstatus,
        error=json.loads(error) if error else None,
        result=json.loads(result) if result else None,
    )


def _step(row: Sequence[Any]) -> StepRecord:
    position, step, version, title, args, state, result = row
    return StepRecord(
        position=position,
        step=step,
        version=version,
        title=title,
        args=json.loads(args),
        state=StepState(state),
        result=json.loads(result) if result else None,
    )
