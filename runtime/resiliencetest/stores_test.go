package resiliencetest_test

import (
	"testing"

	"github.com/resilgen/resilgen/runtime/resilience"
	"github.com/resilgen/resilgen/runtime/resiliencetest"
)

func TestMemoryStores(t *testing.T) {
	resiliencetest.Stores(t, resiliencetest.Engine{Volatile: true, Bubble: true, Place: func(*testing.T) resiliencetest.Place {
		return resiliencetest.Place{Open: func() (resilience.Stores, error) { return resilience.MemoryStores(), nil }}
	}})
}
