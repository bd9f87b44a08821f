terraform import muster_vm.db lab/db
