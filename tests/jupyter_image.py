"""Prints the file system of an image with JupyterLab as a tar archive, made from the running
interpreter's own virtual environment: no registry and no package index is asked.

    venv/bin/python tests/jupyter_image.py | docker import ... - hubd-test-jupyter:KEY

/opt/python holds the interpreter, its library and the packages; /home/jovyan belongs to 1000:100;
beside that there are a shell and the shared libraries that all of it needs.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile

ROOT = "opt/python"
VERSION = "python%d.%d" % sys.version_info[:2]
SKIPPED = re.compile(r"/(test|tests|idlelib|__pycache__|site-packages|dist-packages|config-[^/]*)(/|$)|\.a$")
PACKAGES_SKIPPED = re.compile(r"/(tests|__pycache__)(/|$)")
SCRIPTS = {
    "jupyterhub-singleuser": "from jupyterhub.singleuser import main",
    "jupyter-lab": "from jupyterlab.labapp import main",
}


def owned(info, uid=0, gid=0):
    info.uid, info.gid, info.uname, info.gname = uid, gid, "", ""
    return info


class Image:
    def __init__(self, out):
        self.tar = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT)
        self.there = set()
        self.programs = []

    def folder(self, name, uid=0, gid=0, mode=0o755):
        info = owned(tarfile.TarInfo(name), uid, gid)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self.tar.addfile(info)

    def text(self, name, content, mode=0o644):
        info = owned(tarfile.TarInfo(name))
        data = content.encode()
        info.size, info.mode = len(data), mode
        self.tar.addfile(info, io.BytesIO(data))

    def file(self, path, name):
        """A file by its content, whatever links lead to it."""
        if name in self.there or not os.path.isfile(path):
            return
        self.there.add(name)
        real = os.path.realpath(path)
        info = owned(self.tar.gettarinfo(real, name))
        info.type, info.size = tarfile.REGTYPE, os.path.getsize(real)
        with open(real, "rb") as content:
            start = content.read(4)
            content.seek(0)
            self.tar.addfile(info, content)
        if start == b"\x7fELF":
            self.programs.append(real)

    def tree(self, folder, name, skipped):
        for path, _, files in os.walk(folder):
            below = os.path.relpath(path, folder)
            inside = name if below == "." else f"{name}/{below}"
            for file in files:
                whole = os.path.join(path, file)
                if not skipped.search(whole[len(folder):]):
                    self.file(whole, f"{inside}/{file}")

    def libraries(self):
        """What the programs so far are linked with, at its own place."""
        found = set()
        for start in range(0, len(self.programs), 100):
            listed = subprocess.run(
                ["ldd", *self.programs[start:start + 100]], capture_output=True, text=True
            )
            found.update(re.findall(r"(/\S+) \(0x", listed.stdout))
        for path in sorted(found):
            if path.startswith(("/lib", "/usr/lib")):
                self.file(path, path.lstrip("/"))
            elif not path.startswith(sys.prefix):
                # An interpreter's own, which its path would not find here.
                self.file(path, "usr/lib/" + os.path.basename(path))


def main():
    image = Image(sys.stdout.buffer)
    lib = f"{ROOT}/lib/{VERSION}"
    python = os.path.realpath(sys.executable)
    for name in ("python", "python3", VERSION):
        image.file(python, f"{ROOT}/bin/{name}")
    image.tree(sysconfig.get_path("stdlib"), lib, SKIPPED)
    image.tree(sysconfig.get_path("purelib"), f"{lib}/site-packages", PACKAGES_SKIPPED)
    for shared in ("share/jupyter", "etc/jupyter"):
        image.tree(os.path.join(sys.prefix, shared), f"{ROOT}/{shared}", PACKAGES_SKIPPED)
    for name, source in SCRIPTS.items():
        text = f"#!/{ROOT}/bin/python3\n{source}\nmain()\n"
        image.text(f"{ROOT}/bin/{name}", text, 0o755)
    image.file(shutil.which("sh"), "bin/sh")
    image.libraries()
    image.text("etc/passwd", "root:x:0:0::/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\n")
    image.text("etc/group", "root:x:0:\nusers:x:100:\n")
    image.folder("tmp", mode=0o1777)
    image.folder("home/jovyan", 1000, 100)
    image.folder("home/jovyan/work", 1000, 100)
    image.tar.close()


main()
