terraform import muster_vm_snapshot.before_the_upgrade lab/web/before-the-upgrade
