"""Services: resources with a task of their own, graceful stop, supervision.

Everything here is written over public names, in virtual time and on every loop alike. `services.py`
publishes it.
"""
