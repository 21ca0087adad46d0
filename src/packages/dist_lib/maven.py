"""The JUnit extension, as a Maven repository has it: jar, sources, documentation and pom."""

import shutil
import time
import xml.etree.ElementTree as xml

from . import licences, project

NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"


def artifact(_programs, out):
    project.need("mvn", "Apache Maven and a JDK")
    staged = project.staged(project.PACKAGES / "junit", "junit")
    licences.copy_own_to(staged)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(project.epoch()))
    command = ["mvn", "--batch-mode", "--quiet", "-DskipTests", "-Dmaven.test.skip=true"]
    project.run([*command, f"-Dproject.build.outputTimestamp={moment}", "package"], cwd=staged)
    pom = xml.parse(staged / "pom.xml").getroot()
    group, name = pom.findtext(f"{NAMESPACE}groupId"), pom.findtext(f"{NAMESPACE}artifactId")
    goal = out.joinpath(*group.split("."), name, project.version())
    goal.mkdir(parents=True)
    jars = sorted((staged / "target").glob(f"{name}-{project.version()}*.jar"))
    if not jars:
        raise project.Failed(f"Maven made no {name}-{project.version()}.jar")
    for jar in jars:
        shutil.copyfile(jar, goal / jar.name)
    shutil.copyfile(staged / "pom.xml", goal / f"{name}-{project.version()}.pom")
