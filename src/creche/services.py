"""Services: start, stop gracefully, restart; and resources that outlive the task that opened them."""

from __future__ import annotations

from ._services.backoff import exponential as exponential
from ._services.handle import ServiceHandle as ServiceHandle
from ._services.keeper import RestartsExhausted as RestartsExhausted
from ._services.resources import ResourceGroup as ResourceGroup
from ._services.resources import create_resource_group as create_resource_group
from ._services.signals import stop_on_signals as stop_on_signals
from ._services.stopping import stop_requested as stop_requested
from ._services.stopping import wait_for_stop as wait_for_stop
from ._services.supervisor import Supervisor as Supervisor
from ._services.supervisor import create_supervisor as create_supervisor
from ._services.ticker import Ticker as Ticker
from ._services.ticker import every as every
from ._tasks.until_stop import until_stop as until_stop
