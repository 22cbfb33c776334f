"""Asking a running program what its tasks do.

Publishes what a private package has, and does nothing itself.
"""

from ._insight.answer import serve as serve
from ._insight.answer import stop_serving as stop_serving
from ._insight.collect import snapshot as snapshot
from ._insight.instrument import Instrument as Instrument
from ._insight.instrument import instrument as instrument
from ._insight.model import Group as Group
from ._insight.model import Lint as Lint
from ._insight.model import Loop as Loop
from ._insight.model import Place as Place
from ._insight.model import Resource as Resource
from ._insight.model import Scope as Scope
from ._insight.model import Service as Service
from ._insight.model import Snapshot as Snapshot
from ._insight.model import Stop as Stop
from ._insight.model import Task as Task
from ._insight.model import Wait as Wait
from ._insight.model import Worker as Worker
from ._insight.model import schema as schema
from ._insight.recorder import Recorder as Recorder
from ._insight.recorder import flight_recorder as flight_recorder
from ._insight.recorder import record as record
from ._insight.recording import Event as Event
from ._insight.recording import Moment as Moment
from ._insight.recording import RecordedTask as RecordedTask
from ._insight.recording import Recording as Recording
from ._insight.recording import Span as Span
from ._insight.recording import read_recording as read_recording
from ._insight.signals import dump_on_signal as dump_on_signal
from ._insight.signals import print_tasks as print_tasks
from ._insight.task_names import TaskFilter as TaskFilter
from ._insight.telemetry import TelemetryInstrument as TelemetryInstrument
from ._insight.watch import Watch as Watch
from ._insight.watch import watch_loop as watch_loop
