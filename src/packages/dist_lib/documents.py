"""Manual pages and completions, which the program itself writes."""

from . import project

# The shell's name for `ottla completions`, and the file that the shell looks for.
COMPLETIONS = {"bash": "ottla", "zsh": "_ottla", "fish": "ottla.fish"}


def manual_pages(programs, directory):
    """Writes the pages of all commands and of Kafka's tools."""
    directory.mkdir(parents=True, exist_ok=True)
    project.run([*programs.for_documents(), "man", directory])


def completions(programs, directories):
    """Writes the completions; `directories` has one for each shell."""
    for shell, name in COMPLETIONS.items():
        directories[shell].mkdir(parents=True, exist_ok=True)
        script = project.run([*programs.for_documents(), "completions", shell])
        (directories[shell] / name).write_text(script, encoding="utf-8")
