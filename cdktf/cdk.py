"""The CDK for Terraform: ``cdktn``, the living fork, where it is installed, else ``cdktf``. No other file imports it.

Importing it starts Node.js, which both are written for.
"""

from __future__ import annotations

try:
    from cdktn import (
        Annotations,
        App,
        Aspects,
        IAspect,
        TerraformBackend,
        TerraformDataSource,
        TerraformOutput,
        TerraformProvider,
        TerraformProviderGeneratorMetadata,
        TerraformResource,
        TerraformStack,
        TerraformVariable,
    )
except ImportError:
    try:
        from cdktf import (
            Annotations,
            App,
            Aspects,
            IAspect,
            TerraformBackend,
            TerraformDataSource,
            TerraformOutput,
            TerraformProvider,
            TerraformProviderGeneratorMetadata,
            TerraformResource,
            TerraformStack,
            TerraformVariable,
        )
    except ImportError:
        raise ImportError("neither cdktn nor cdktf is installed; 'pip install muster-fleet[cdktf]' does that") from None
from constructs import Construct, IConstruct

__all__ = [
    "Annotations",
    "App",
    "Aspects",
    "Construct",
    "IAspect",
    "IConstruct",
    "TerraformBackend",
    "TerraformDataSource",
    "TerraformOutput",
    "TerraformProvider",
    "TerraformProviderGeneratorMetadata",
    "TerraformResource",
    "TerraformStack",
    "TerraformVariable",
]
