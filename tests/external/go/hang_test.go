package orders

import (
	"os"
	"testing"
	"time"

	"github.com/ottla/ottla-go"
)

// TestHang starts a broker, writes its directory into a file and runs until it is killed.
func TestHang(t *testing.T) {
	broker := ottla.Start(t)
	if err := os.WriteFile("directories", []byte(broker.DataDir()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
}
