package resilience

import (
	"errors"
	"fmt"

	"github.com/resilgen/resilgen/runtime/internal/journal"
)

// StoreReport is what a look at every file of a store found.
type StoreReport = journal.Report

// StoreDamage is a stretch of a store that does not hold what it did, and what is
// missing for it. It is an error.
type StoreDamage = journal.Damage

// StoreEntry is a record of any kind as it lies in a file of a store.
type StoreEntry = journal.Entry

// VerifyStore reads everything in a directory and says what it found. It writes
// nothing and takes no lock, and may be called while a service runs. An error says
// that it could not read; damage is in the report.
func VerifyStore(dir string) (report StoreReport, err error) {
	err = inExisting(dir, func(disk journal.FS) (err error) {
		report, err = journal.Verify(disk)
		return err
	})
	return report, err
}

// DumpStore is [VerifyStore], and hands out every record that can be proven, also
// dropped ones, in the order in which they lie. Payloads are valid until each
// returns, and an error of it ends the dump.
func DumpStore(dir string, each func(StoreEntry) error) (report StoreReport, err error) {
	err = inExisting(dir, func(disk journal.FS) (err error) {
		report, err = journal.Dump(disk, each)
		return err
	})
	return report, err
}

// RepairStore copies every record that can be proven from a damaged store into a new
// one in an empty directory, which is made if it is not there. It writes nothing to
// the old one, and reports what is missing. [ErrBusy]: the old one is in use.
func RepairStore(from, to string) (StoreReport, error) { return transfer(from, to, journal.Repair) }

// CopyStore copies a store into a new one in an empty directory, which is made if it
// is not there: a backup. The old one may be in use by another process; then the copy
// has what was certainly durable, which the newest moment is not. Damage is an error;
// see [RepairStore].
func CopyStore(from, to string) (StoreReport, error) { return transfer(from, to, journal.Copy) }

// Copy is [CopyStore] for the process that owns the store: the copy has all that was
// acknowledged when it began.
func (s *Store) Copy(to string) (report StoreReport, err error) {
	err = inNew(to, func(disk journal.FS) (err error) {
		report, err = s.log.j.Copy(disk)
		return err
	})
	return report, err
}

// UpgradeStore makes a store one of the newest format that this program knows, and
// returns the old and the new one. There is one format yet. [ErrBusy]: it is in use.
func UpgradeStore(dir string) (from, to int, err error) {
	err = inExisting(dir, func(disk journal.FS) (err error) {
		from, to, err = journal.Upgrade(disk)
		return err
	})
	return from, to, err
}

func transfer(from, to string, do func(from, to journal.FS, o journal.Options) (journal.Report, error)) (report StoreReport, err error) {
	err = inExisting(from, func(old journal.FS) error {
		return inNew(to, func(fresh journal.FS) (err error) {
			report, err = do(old, fresh, journal.Options{})
			return err
		})
	})
	return report, err
}

// inExisting calls do with a directory that must exist.
func inExisting(dir string, do func(journal.FS) error) error {
	disk, err := journal.ExistingOS(dir)
	return inDisk(disk, err, do)
}

// inNew calls do with a directory that is made if it is not there.
func inNew(dir string, do func(journal.FS) error) error {
	disk, err := journal.OS(dir)
	return inDisk(disk, err, do)
}

func inDisk(disk journal.FS, err error, do func(journal.FS) error) error {
	if err == nil {
		err = errors.Join(do(disk), disk.Close())
	}
	if err != nil {
		return fmt.Errorf("store: %w", asOurs(err))
	}
	return nil
}
