"""What somebody should look at, gathered from all over: `attention.py` asks, `findings.py` are the pure rules.

A *finding* is about one object of `GET /cluster/resources`; it has the five parts of an error, so its fixes can be
done by a program. It is there as long as its cause, and is never stored.
"""
