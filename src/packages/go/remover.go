package ottla

import (
	"fmt"
	"io"
	"os/exec"
)

// remover removes a directory when this process ends, while no broker runs that does. It ignores the signals that may be
// sent to all processes of a test run.
type remover struct {
	command *exec.Cmd
	stdin   io.WriteCloser
}

func startRemover(directory string) (*remover, error) {
	r := &remover{command: exec.Command("/bin/sh", "-c", `trap "" HUP INT TERM; read -r keep || rm -rf -- "$1"`, "sh", directory)}
	r.command.SysProcAttr = ownProcessGroup()
	var err error
	if r.stdin, err = r.command.StdinPipe(); err == nil {
		err = r.command.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("ottla: cannot run /bin/sh: %w", err)
	}
	return r, nil
}

// release ends it; the directory is kept.
func (r *remover) release() {
	_, _ = io.WriteString(r.stdin, "keep\n") // fails if it has ended
	_ = r.stdin.Close()
	_ = r.command.Wait()
}
