"""Manual pages and completions, which the program itself writes."""

from . import project

# The shell's name for `ottla completions`, and the file that the shell looks for.
COMPLETIONS = {"bash": "ottla", "zsh": "_ottla", "fish": "ottla.fish"}


def manual_pages(programs, directory):
    """Writes the pages of all commands and of Kafka's tools."""
    directory.mkdir(parents=True, exist_ok=True)
    project.run([*programs.for_documents(), "man", directory])


def completions(programs, directories):
    """Writes the completions; `directories` has one for each shell. bash looks for a file with the name of the command."""
    for shell, name in COMPLETIONS.items():
        directories[shell].mkdir(parents=True, exist_ok=True)
        script = project.run([*programs.for_documents(), "completions", shell])
        (directories[shell] / name).write_text(script, encoding="utf-8")
    for tool in project.kafka_tools():
        (directories["bash"] / tool).symlink_to(COMPLETIONS["bash"])
