"""The abstract classes of Creche: what a stream, a listener, a task group promises."""

from __future__ import annotations

from ._abc.resources import AsyncResource as AsyncResource
from ._abc.streams import AnyByteReceiveStream as AnyByteReceiveStream
from ._abc.streams import AnyByteSendStream as AnyByteSendStream
from ._abc.streams import AnyByteStream as AnyByteStream
from ._abc.streams import AnyByteStreamConnectable as AnyByteStreamConnectable
from ._abc.streams import AnyUnreliableByteReceiveStream as AnyUnreliableByteReceiveStream
from ._abc.streams import AnyUnreliableByteSendStream as AnyUnreliableByteSendStream
from ._abc.streams import AnyUnreliableByteStream as AnyUnreliableByteStream
from ._abc.streams import ByteReceiveStream as ByteReceiveStream
from ._abc.streams import ByteSendStream as ByteSendStream
from ._abc.streams import ByteStream as ByteStream
from ._abc.streams import ByteStreamConnectable as ByteStreamConnectable
from ._abc.streams import Listener as Listener
from ._abc.streams import ObjectReceiveStream as ObjectReceiveStream
from ._abc.streams import ObjectSendStream as ObjectSendStream
from ._abc.streams import ObjectStream as ObjectStream
from ._abc.streams import ObjectStreamConnectable as ObjectStreamConnectable
from ._abc.streams import UnreliableObjectReceiveStream as UnreliableObjectReceiveStream
from ._abc.streams import UnreliableObjectSendStream as UnreliableObjectSendStream
from ._abc.streams import UnreliableObjectStream as UnreliableObjectStream
from ._abc.test_runner import TestRunner as TestRunner
from ._net.addresses import IPAddressType as IPAddressType
from ._net.addresses import IPSockAddrType as IPSockAddrType
from ._net.attributes import SocketAttribute as SocketAttribute
from ._net.listener import SocketListener as SocketListener
from ._net.stream import SocketStream as SocketStream
from ._net.udp import ConnectedUDPSocket as ConnectedUDPSocket
from ._net.udp import UDPPacketType as UDPPacketType
from ._net.udp import UDPSocket as UDPSocket
from ._net.unix_datagram import ConnectedUNIXDatagramSocket as ConnectedUNIXDatagramSocket
from ._net.unix_datagram import UNIXDatagramPacketType as UNIXDatagramPacketType
from ._net.unix_datagram import UNIXDatagramSocket as UNIXDatagramSocket
from ._net.unix_stream import UNIXSocketStream as UNIXSocketStream
from ._subprocess.abc import Process as Process
from ._tasks.group import TaskGroup as TaskGroup
from ._tasks.start import TaskStatus as TaskStatus
