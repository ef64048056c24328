"""What DDR can be told: the radiance field, what it is asked for, where depths come from, and the loss itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FieldConfig:
    """A radiance field with a static and a dynamic part on feature planes (DDR's base, on K-Planes)."""

    space: Literal["auto", "ndc", "contraction"] = "auto"
    """What the world is folded into; auto takes ndc where all cameras look the same way, else contraction."""
    nodes: int | None = None
    """Nodes of the coarsest planes along x, y and z: 64 on a GPU, 40 on a CPU."""
    levels: tuple[int, ...] = (1, 2, 4)
    """Factors of the resolution in space."""
    channels: int | None = None
    """Features per plane: 32 as in K-Planes on a GPU, 8 on a CPU."""
    width: int = 64
    """Of the layers."""
    frames_per_node: float = 2.0
    """Frames of the clip per node along time."""
    views: bool = True
    """Whether the static part's colours depend on the direction of view."""
    rays: int | None = None
    """Random rays per step: 1024 as released on a GPU, 512 on a CPU."""
    moving_rays: int | None = None
    """More rays on what moves, in the first twelfth of a run: 512 as released on a GPU, 128 on a CPU."""
    proposals: int | None = None
    """Samples per ray of the proposal field: 128 on a GPU, 48 on a CPU."""
    samples: int | None = None
    """Samples per ray of the field: 64 on a GPU, 24 on a CPU. The released code takes 128 without proposals."""
    plane_rate: float = 0.02
    """Adam's step size for the planes; falls to a twentieth by the end (cosine)."""
    layer_rate: float = 2e-3
    """The same for the layers."""
    variation: float = 2e-4
    """Weight of the planes' total variation in space."""
    time_smoothness: float = 1e-3
    """Weight of the second differences along time."""
    to_one: float = 1e-4
    """Weight of |1 - P| over the planes with t."""


@dataclass(frozen=True)
class TermsConfig:
    """What a radiance field of a moving scene is asked for besides depth (NSFF, DDR); zero leaves a term out."""

    blend: float = 1.0
    """Squared colour error of the blend."""
    dynamic: float = 1.0
    """Of the dynamic part alone."""
    static: float = 1.0
    """Of the static part alone, on pixels that stand still."""
    warped: float = 1.0
    """Of the dynamic part of a neighbouring frame, fetched along the scene flow, where it is not hidden there."""
    flow: float = 0.01
    """Difference of the projected scene flow to the optical flow, pixels at a picture width of 512; decays."""
    cycle: float = 1.0
    """Of the flow there and back."""
    flow_size: float = 0.1
    """Mean length of the scene flow, in the cube."""
    flow_smoothness: float = 0.1
    """Difference of the flow of neighbours along a ray, and of the flow to and from a place (least kinetic energy)."""
    hidden: float = 0.1
    """Mean probability of being hidden in a neighbouring frame."""
    entropy: float = 1e-3
    """Entropy of the blend, -v log v."""
    sparsity: float = 0.0
    """Mean share of the dynamic part in the blend's weights."""
    interlevel: float = 1.0
    """How far the proposals miss the weights (mip-NeRF 360); no quality is traded for it."""
    decay: int = 2500
    """Steps of 30,000 in which the weight of the flow falls to a tenth (released: 25,000 of 300,000); 0: never."""


DepthSource = Literal["none", "auto", "found", "truth", "midas-like", "points", "flow", "files", "model"]


@dataclass(frozen=True)
class DepthConfig:
    """Where depths are known from, and what the expected depth and the weights are asked for besides DDR."""

    source: DepthSource = "none"
    """Files beside the clip (disp/ or depth/), a depth model in the local cache, the clip's points, triangulated
    optical flow, or for the demo scene the truth or what a network would make of it; auto takes the first there is,
    found takes files and where there are none asks nothing."""
    folder: str = ""
    """Of the depth files; by default disp or depth beside the clip's pictures."""
    model: str = "depth-anything/Depth-Anything-V2-Small-hf"
    """Of the source model: a depth network in transformers' cache, or a folder."""
    kind: Literal["auto", "disparity", "depth"] = "auto"
    """What files or the model hold: disparity is larger where things are nearer; auto asks what is known of the
    clip."""
    alignment: Literal["frame", "batch"] = "frame"
    """Scale and shift per frame by known points, or median and mean deviation per batch of rays as released."""
    expected: float = 0.0
    """Weight of the error of the expected depth (NSFF; 0.02 in DDR's code)."""
    expected_form: Literal["squared", "absolute"] = "squared"
    """Of that error."""
    ds_nerf_kl: float = 0.0
    """Weight of DS-NeRF's Kullback-Leibler term."""
    kl_sigma: float = 0.02
    """Its standard deviation, as a share of the range of normalised depth."""
    distortion: float = 0.0
    """Weight of mip-NeRF 360's distortion loss, which needs no depth."""
    gradient: float = 0.0
    """Weight of DDR's depth-gradient term."""
    standardised: float = 0.0
    """Weight of the error of the disparity of pictures of Gaussians, in standard deviations of the known one; falls
    to 1/500 along the run (SparseCam4D's code: 0.5)."""
    rays: int = 256
    """Rays per picture on which the weights of Gaussians are looked at, where the picture's own channels are not
    enough."""
    decay: int = 0
    """Steps of 30,000 in which the weights of all depth terms, DDR among them, fall to a tenth (released: 25,000 of
    300,000); 0: never."""


@dataclass(frozen=True)
class DdrConfig:
    """The expectation of the depth's error over a ray's weights (DDR, TVCG 2025), and empty space before surfaces."""

    weight: float = 0.0
    """Of the expectation of the error; 0.01 as released."""
    estimator: Literal["exact", "gumbel", "released"] = "exact"
    """The closed form, Gumbel-softmax samples, or those with the released code's replaced gradient."""
    branch: Literal["total", "dynamic", "static"] = "total"
    """Whose weights: of the blend, or of a part alone (the released code: dynamic)."""
    samples: int = 30
    """K, samples per ray."""
    temperature: float = 2.0
    """Of the Gumbel softmax."""
    anneal: bool = False
    """Whether the temperature halves, down to 0.5, whenever the weight falls to a tenth."""
    empty: float = 0.0
    """Weight of the squared density in front of the surface; 0.1 as released."""
    empty_form: Literal["aligned", "released"] = "aligned"
    """Where the surface is: at the ray's aligned depth, or between the batch's nearest and farthest ray as released."""
    empty_masks: Literal["all", "natural", "released"] = "all"
    """Which part is emptied where: both everywhere; each on its own pixels; each on the other's, as the code reads."""
    margin: float = 0.05
    """Distance to the surface from which space has to be empty, in normalised depth."""
