"""What can go wrong in a store.

StoreError
├── StoreOpenError            the database cannot be used; the hub does not start
│   ├── SchemaTooNewError     written by a newer Gatelight
│   └── StoreCorruptError     the integrity check failed, or it is no database
├── StoreWriteError           a transaction failed as a whole: disk full, I/O error, locked too long
├── HeadConflictError         another writer moved a head; the commit was undone
├── OutboxConflictError       a batch is not in the state that the step needs; nothing was changed
├── RegistryConflictError     the registry refused: known already, or something it needs is missing
└── BackupError               an archive cannot be made, read or put in place (`hub.store.backup`)
"""


class StoreError(Exception):
    """Root of everything a store raises."""


class StoreOpenError(StoreError):
    """The database cannot be used."""


class SchemaTooNewError(StoreOpenError):
    """The database was written by a newer Gatelight than this one."""


class StoreCorruptError(StoreOpenError):
    """The integrity check failed, or the file is no database."""


class StoreWriteError(StoreError):
    """A transaction failed as a whole; nothing of it is stored."""


class HeadConflictError(StoreError):
    """A head is not where the commit expects it, so somebody else writes too; nothing of the commit is stored."""


class OutboxConflictError(StoreError):
    """A batch is not in the state that the step needs; nothing was changed."""


class RegistryConflictError(StoreError):
    """The registry refused a change: known already, or something it needs is missing."""
