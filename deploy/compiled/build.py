"""Build the core as C, beside the sources: python -m deploy.compiled.build FOLDER"""
import shutil, sys, subprocess, os
from pathlib import Path
from deploy.compiled.values import expand
root=Path(__file__).resolve().parents[2]
into=Path(sys.argv[1])
pk="sip/*.py sip/fields/*.py sdp/*.py call/*.py registrar/*.py shield/*.py core.py reception.py doorkeeper.py inputs.py effects.py errors.py frozen.py policy/decide.py policy/limits.py".split()
skip={"sip/names.py"}|set(os.environ.get("SKIP","").split())
if into.exists(): shutil.rmtree(into)
for name in ("sbc","media"):
    shutil.copytree(root/name, into/name, ignore=shutil.ignore_patterns("__pycache__","*.so"))
shutil.copy(root/"deploy/compiled/frozen.py", into/"sbc/frozen.py")
files=[]
for pattern in pk:
    for f in sorted((into/"sbc").glob(pattern)):
        rel=str(f.relative_to(into/"sbc"))
        if rel in skip or f.name=="__init__.py": continue
        files.append("sbc/"+rel)
for f in files:
    if f.endswith("frozen.py"): continue
    p=into/f; p.write_text(expand(p.read_text()))
(into/"setup.py").write_text(f"""from setuptools import setup
from mypyc.build import mypycify
setup(name="sbc-core",packages=[],ext_modules=mypycify({files!r},opt_level={os.environ.get('OPT','3')!r},multi_file=True))
""")
shutil.copy(root/"pyproject.toml", into/"mypy.toml")
subprocess.run([sys.executable,"setup.py","-q","build_ext","--inplace","-j2"],cwd=into,check=True)
