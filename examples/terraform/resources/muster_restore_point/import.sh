terraform import muster_restore_point.release_2 lab/web/20261122-173531-backup-5e55e6
