"""What can go wrong while bundling, each with its fields; a module each for what it happens to.

`sources`, `weights`, `making`, `targets`, `bundles`, `defaults`. Refuses to know who raises them, and what becomes of
them (`runtime/exits.py`).

LoafError
├── SourceError          the weights that MODEL names cannot be had
│   ├── SourceNotFound
│   ├── SourceAmbiguous
│   ├── SourceChanged
│   ├── DownloadFailed
│   ├── DigestMismatch
│   ├── AnotherDigest
│   ├── NotAModel
│   ├── NameTaken
│   ├── GivenTwice
│   ├── PartMisfit
│   └── PartNameTaken
├── QuantizeError        the weights cannot be made smaller as asked
│   ├── NoSuchFileType
│   ├── QuantizedAlready
│   ├── ImportanceMissing
│   ├── ImportanceUnusable
│   └── QuantizingFailed
├── TargetError          the bundle cannot be written where it was asked for
│   ├── TargetIsSource
│   ├── TargetHasNoFolder
│   ├── TargetIsNoFile
│   ├── NoRoom
│   ├── NoRoomToChange
│   ├── BundleBusy
│   ├── BundleNotWritable
│   ├── FileTaken
│   ├── FolderTaken
│   ├── NoCLibraryInside
│   ├── TargetIsNoBundle
│   ├── AnotherPlatform
│   └── RuntimeOlder
├── UnusableText         an option's text cannot be stored in a bundle
├── DefaultsRefused      what is baked in makes no sense to the bundle that was built
├── RecipeError          a recipe cannot be read, or says what it cannot
├── BundleNotIntact      parts of a bundle are not as they were built
├── TrustError           signing, and checking who signed
│   ├── KeyUnusable
│   ├── NotSigned
│   ├── SignatureWrong
│   └── ChangeUnfinished
├── UnsafeEntryName      an archive's entry would be written outside the folder
├── GGUFError            the weights file is not a GGUF, is cut short, or states nonsense
│   ├── UnreadableGGUF   missing, a folder, no permission, a failing disk
│   ├── NotGGUF
│   ├── UnsupportedGGUF  of a kind that llama.cpp does not load
│   ├── TruncatedGGUF
│   └── MalformedGGUF
├── SplitError           the parts of a split GGUF do not make a whole
│   ├── NotFirstPart
│   ├── MissingParts
│   └── MismatchedParts
├── CacheError           the folder where compiled and frozen things are kept
│   ├── CacheFull
│   └── CacheUnusable
└── FreezeError          making the programs that go into a bundle, or taking them from one
    ├── CompilerMissing
    ├── NoSuchPlatform
    ├── PlatformUnmakeable
    ├── ToolchainMissing
    ├── NoSuchPack
    ├── MediaPackMissing
    ├── PackMissing
    ├── NoPackForPlatform
    ├── ProgramDamaged
    ├── NoProgramForHere
    ├── NothingToFreezeWith
    ├── PythonUnsuitable
    ├── FrozenFileUnsuitable
    ├── PackagesUnreachable
    └── StepFailed
"""

from bundler.errors.bundles import (
    BundleNotIntact,
    ChangeUnfinished,
    KeyUnusable,
    NotSigned,
    SignatureWrong,
    TrustError,
    UnsafeEntryName,
)
from bundler.errors.defaults import DefaultsRefused, RecipeError, UnusableText
from bundler.errors.making import (
    CacheError,
    CacheFull,
    CacheUnusable,
    CompilerMissing,
    FreezeError,
    FrozenFileUnsuitable,
    MediaPackMissing,
    NoPackForPlatform,
    NoProgramForHere,
    NoSuchPack,
    NoSuchPlatform,
    NothingToFreezeWith,
    PackagesUnreachable,
    PackMissing,
    PlatformUnmakeable,
    ProgramDamaged,
    PythonUnsuitable,
    StepFailed,
    ToolchainMissing,
)
from bundler.errors.sources import (
    AnotherDigest,
    DigestMismatch,
    DownloadFailed,
    Found,
    GivenTwice,
    NameTaken,
    NotAModel,
    PartMisfit,
    PartNameTaken,
    SourceAmbiguous,
    SourceChanged,
    SourceError,
    SourceNotFound,
)
from bundler.errors.targets import (
    AnotherPlatform,
    BundleBusy,
    BundleNotWritable,
    FileTaken,
    FolderTaken,
    NoCLibraryInside,
    NoRoom,
    NoRoomToChange,
    RuntimeOlder,
    TargetError,
    TargetHasNoFolder,
    TargetIsNoBundle,
    TargetIsNoFile,
    TargetIsSource,
)
from bundler.errors.weights import (
    GGUFError,
    ImportanceMissing,
    ImportanceUnusable,
    MalformedGGUF,
    MismatchedParts,
    MissingParts,
    NoSuchFileType,
    NotFirstPart,
    NotGGUF,
    QuantizedAlready,
    QuantizeError,
    QuantizingFailed,
    SplitError,
    TruncatedGGUF,
    UnreadableGGUF,
    UnsupportedGGUF,
)

__all__ = [
    "AnotherDigest",
    "AnotherPlatform",
    "BundleBusy",
    "BundleNotIntact",
    "BundleNotWritable",
    "CacheError",
    "CacheFull",
    "CacheUnusable",
    "ChangeUnfinished",
    "CompilerMissing",
    "DefaultsRefused",
    "DigestMismatch",
    "DownloadFailed",
    "FileTaken",
    "FolderTaken",
    "Found",
    "FreezeError",
    "FrozenFileUnsuitable",
    "GGUFError",
    "GivenTwice",
    "ImportanceMissing",
    "ImportanceUnusable",
    "KeyUnusable",
    "MalformedGGUF",
    "MediaPackMissing",
    "MismatchedParts",
    "MissingParts",
    "NameTaken",
    "NoCLibraryInside",
    "NoPackForPlatform",
    "NoProgramForHere",
    "NoRoom",
    "NoRoomToChange",
    "NoSuchFileType",
    "NoSuchPack",
    "NoSuchPlatform",
    "NotAModel",
    "NotFirstPart",
    "NotGGUF",
    "NotSigned",
    "NothingToFreezeWith",
    "PackMissing",
    "PackagesUnreachable",
    "PartMisfit",
    "PartNameTaken",
    "PlatformUnmakeable",
    "ProgramDamaged",
    "PythonUnsuitable",
    "QuantizeError",
    "QuantizedAlready",
    "QuantizingFailed",
    "RecipeError",
    "RuntimeOlder",
    "SignatureWrong",
    "SourceAmbiguous",
    "SourceChanged",
    "SourceError",
    "SourceNotFound",
    "SplitError",
    "StepFailed",
    "TargetError",
    "TargetHasNoFolder",
    "TargetIsNoBundle",
    "TargetIsNoFile",
    "TargetIsSource",
    "ToolchainMissing",
    "TruncatedGGUF",
    "TrustError",
    "UnreadableGGUF",
    "UnsafeEntryName",
    "UnsupportedGGUF",
    "UnusableText",
]
