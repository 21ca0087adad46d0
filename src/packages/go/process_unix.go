//go:build unix

package ottla

import (
	"os"
	"syscall"
)

func ownProcessGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(leader *os.Process) {
	if syscall.Kill(-leader.Pid, syscall.SIGKILL) != nil {
		_ = leader.Kill() // fails if it has ended
	}
}
