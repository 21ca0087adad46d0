package ottla

import (
	"fmt"
	"os"
	"os/exec"
)

// FindBinary finds the program: path, if it is not empty; else the environment variable OTTLA_BINARY; else ottla on the
// PATH. The error says all that was tried.
func FindBinary(path string) (string, error) {
	for _, given := range []struct{ path, name string }{{path, "the given binary"}, {os.Getenv("OTTLA_BINARY"), "OTTLA_BINARY"}} {
		if given.path == "" {
			continue
		}
		// It is an error, and no reason to look further: another program would be tested than the one that was asked for.
		if found, err := os.Stat(given.path); err != nil || !found.Mode().IsRegular() || found.Mode()&0o111 == 0 {
			return "", fmt.Errorf("ottla: %s, %s, is not an executable file", given.name, given.path)
		}
		return given.path, nil
	}
	found, err := exec.LookPath("ottla")
	if err != nil {
		return "", fmt.Errorf("ottla: found no program ottla: no binary was given, OTTLA_BINARY is not set, "+
			"and no directory of the PATH has it: %w", err)
	}
	return found, nil
}
