"""Looking at a running program from outside: snapshots, their text, and the ways to ask for them.

What each file is for:

    model.py       the snapshot as data, and as JSON
    writing.py     writes JSON, thousands of parts in a moment
    collect.py     makes a snapshot of the loops of this process, from any thread
    waits.py       what each task waits for, for many tasks at once
    states.py      the states of tasks and loops
    workers.py     the worker threads and their calls
    services.py    the services of supervisors, and stops that took too long
    numbers.py     small numbers for tasks and scopes
    figures.py     how long tasks have waited, and how busy they are
    lints.py       what looks wrong, by the snapshot
    object_lints.py  the same, by the program's objects
    garbage.py     no garbage collection while thousands of tasks are looked at
    text.py        a snapshot as plain text, with equal tasks folded
    signals.py     the text when a signal comes
    watch.py       notices a loop that is blocked
    protocol.py    what viewer and target say to each other
    answer.py      the thread in the target that answers
    control.py     what viewers may do, where the target allows it
    ask.py         the viewer's end: finds programs and asks them
    wake.py        wakes a process whose loop is idle
    points.py      where in the library the steps and events of tasks are seen
    lanes.py       what is called there
    words.py       the texts of a recording
    steps.py       switches all that on and off
    layout.py      the file format of recordings
    tape.py        where records go: a file, or a ring in memory
    recorder.py    `record` and `flight_recorder`
    recording.py   recordings as they are read
    decode.py      from the records of a file to its events
    instrument.py  hooks of others for what tasks do
    task_names.py  names of tasks for the log
    telemetry.py   spans of OpenTelemetry for tasks and groups
    perfetto.py    recordings in the Trace Event Format
    spans.py       from the events to what each task was, and when

Nothing here runs until somebody asks, and nothing below knows that it exists.
"""
