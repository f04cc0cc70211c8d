"""Starvation: whatever keeps the worker from deleting, the overdue alarm fires in time (I24).

`python -m tests.starvation [--sample] [--jobs N] [NAME …]` runs each scenario in a fresh deployment with a mandate in
force, the daemon as a real process, and a real Prometheus that evaluates the alerts of deploy/prometheus.

What is measured, for a rule of a class that runs `every` so often:

* *Overdue from*: the moment at which a row whose ceiling has passed is there for everybody to see: the commit that
  brings it, or its ceiling (the beginning of the local day by which it had to be gone), whichever is later.
* *Alarm*: the first moment at which Prometheus says that the scenario's alert fires for this deployment.
* The alarm must come within `LIMIT` = 2 × `every` after *overdue from*. That is stricter than two intervals after the
  end of the first missed slot: the first slot that begins after *overdue from* has not even ended then.
* The fault must have *bitten*: when the limit is over none of those rows has been deleted. A scenario in which the
  worker got through after all fails, however early the alarm came.
* Healthy first: before the fault a turn of the rule ended well, the verifier saw nothing overdue, and nothing fired.
* Healed, and the rows deleted by the daemon itself, the alarm ends. Where a promise is kept by nobody's healing (a
  process that is gone) this part is left out, and the scenario says so.

Settings: look PT1S, tick PT1S, every PT5S or PT10S; scrape and evaluation every second. In earnest a look is PT15M and
a class runs daily: the look is a far smaller part of an interval there. The alerts are as shipped, but for their `for:`
and their ranges, cut down to seconds: DeadlineBreached has no `for:`, so its beginning is as in earnest, and its end is
quicker. A ceiling is passed by giving the daemon's process a zone of its own whose next day begins in some seconds.
"""
