"""Metadata and dependencies; the settings of tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "gluontricks/__init__.py").read_text())[1]

CUDA = [
    "nvidia-cuda-runtime-cu11==11.8.89",
    "nvidia-nvtx-cu11==11.8.86",
    "nvidia-cuda-nvrtc-cu11==11.8.89",
    "nvidia-cublas-cu11==11.11.3.6",
    "nvidia-cufft-cu11==10.9.0.58",
    "nvidia-curand-cu11==10.3.0.86",
    "nvidia-cusparse-cu11==11.7.5.86",
    "nvidia-cusolver-cu11==11.4.1.48",
    "nvidia-nccl-cu11==2.14.3",
    "nvidia-cudnn-cu11>=8.5,<9",
]
# Without MXNet any Python and NumPy will do. MXNet pins numpy<2, which no wheel satisfies on
# Python 3.13: there it is installed without its dependencies (`make install` does so), and these
# are what it needs.
OLD = 'python_version < "3.13"'
NEW = 'python_version >= "3.13"'
BESIDE = [f"graphviz<0.9; {NEW}", f"requests; {NEW}"]
GLUONCV = ["gluoncv==0.10.5.post0"]
TRACK = ["tensorboardX>=2.6"]
RAY = ["ray>=2.9"]
BROWSER = ["playwright"]
TEST = [*GLUONCV, *TRACK, "pytest", "pytest-timeout", "pytest-xdist>=3.2", "hypothesis"]

setup(
    name="gluontricks",
    version=VERSION,
    description="Training tricks for image classifiers, reproduced with MXNet/Gluon and measured",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.8",
    packages=find_packages(include=["gluontricks", "gluontricks.*"]),
    package_data={"gluontricks": ["**/*.csv", "**/*.css", "**/*.js", "py.typed"]},
    install_requires=[
        "numpy>=1.19",
        "scipy<2",
        "scikit-learn",
        "matplotlib",
        "Pillow>=9.1",
        "safetensors",
        "filelock",
        "pooch",
        "psutil",
        "pyyaml",
        "rich",
    ],
    extras_require={
        "torch": ["torch>=2.4"],
        "cpu": [f"mxnet==1.9.1; {OLD}", *BESIDE],
        "cu112": [f"mxnet-cu112==1.9.1; {OLD}", *BESIDE, *CUDA],
        "gluoncv": GLUONCV,
        "track": TRACK,
        "ray": RAY,
        # The report's test in the system's Chromium.
        "browser": BROWSER,
        "test": TEST,
        # basedpyright is pyright with its own JavaScript and Node: PyPI alone is enough.
        "dev": [
            *TEST,
            # Pictures in the results are compared byte for byte under this version only.
            'matplotlib==3.11.2; python_version >= "3.11"',
            "ruff==0.17.*",
            "basedpyright==1.*",
        ],
    },
    entry_points={"console_scripts": ["gluontricks = gluontricks.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.8",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
