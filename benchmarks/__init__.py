"""What Creche costs, beside AnyIO, asyncio and Trio doing the same work.

Run ``python -m benchmarks`` from the root of the project (``--help`` lists the options).

How it measures:

* One child process for each backend (asyncio, uvloop, trio). Inside it every library takes its
  turn in every round, in shuffled order, so that the machine's noise hits all of them alike.
* A library runs under its own ``run()``; loop start-up and connection set-up are not timed.
* A sample lasts some tens of milliseconds; garbage is collected before each one.
* A ratio is taken within a round, and the table shows the median over the rounds and the
  quartiles around it. Ratios are what the targets are about; microseconds depend on the machine.

The files: ``model`` says what a row is, ``work_*`` hold the work itself, ``special`` what cannot
be timed in rounds, ``registry`` collects the rows, ``runner`` measures them, ``worker`` is the
child process, ``results`` turns samples into medians and verdicts, ``report`` prints,
``chart`` draws. ``growth`` has what a unit costs at three sizes, ``million`` a million tasks in one group.
``instructions`` counts instructions instead, to compare two checkouts.
"""
