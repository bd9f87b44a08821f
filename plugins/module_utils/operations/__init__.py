"""What is done to VMs, over the driver contract alone.

The journal, the lease and the caps on deletions that make it safe against two operators at once have their place here
(``journal.py``, ``lease.py``); until they stand, every operation acts only on VMs that bear the fleet's ownership mark.
"""
