package journal

// lockName is the file that tells who has the lock of the directory.
const lockName = "LOCK"
