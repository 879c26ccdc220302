"""What `segjax` offers, for type checkers and editors; see `__init__.py`."""

from collections.abc import Sequence
from typing import Any, Protocol

from segjax import (
    benchmark as benchmark,
    case as case,
    comparison as comparison,
    compat as compat,
    doctor as doctor,
    evaluation as evaluation,
    explanation as explanation,
    folder as folder,
    io as io,
    leaderboard as leaderboard,
    losses as losses,
    metrics as metrics,
    objects as objects,
    ops as ops,
    quality as quality,
    report as report,
    simulation as simulation,
    statistics as statistics,
    streaming as streaming,
    table as table,
    tiles as tiles,
)
from segjax._errors import InputError as InputError
from segjax._version import __version__ as __version__
from segjax.evaluation import evaluate as evaluate, evaluate_batch as evaluate_batch
from segjax.explanation import explain as explain
from segjax.folder import evaluate_folder as evaluate_folder
from segjax.metrics import METRICS as METRICS, Metric as Metric, get_metric as get_metric
from segjax.metrics.detection import coco_ap as coco_ap
from segjax.metrics.panoptic import panoptic_quality as panoptic_quality
from segjax.objects import (
    ObjectTable as ObjectTable,
    error_map as error_map,
    object_table as object_table,
)
from segjax.quality import assess as assess, assess_folder as assess_folder
from segjax.table import Table as Table
from segjax.tiles import evaluate_tiled as evaluate_tiled

class MetricFunction(Protocol):
    def __call__(
        self,
        *,
        reference: Any,
        prediction: Any,
        spacing: Sequence[float] | float | None = None,
        labels: Sequence[int] | str | None = None,
        ignore: int | None = None,
        valid: Any = None,
        surface: str = "voxel",
        relabel: bool = False,
        **options: Any,
    ) -> Any: ...

dice: MetricFunction
iou: MetricFunction
sensitivity: MetricFunction
specificity: MetricFunction
precision: MetricFunction
npv: MetricFunction
fpr: MetricFunction
fnr: MetricFunction
fdr: MetricFunction
false_omission_rate: MetricFunction
accuracy: MetricFunction
balanced_accuracy: MetricFunction
auc_trapezoid: MetricFunction
f_beta: MetricFunction
mcc: MetricFunction
nmcc: MetricFunction
amcc: MetricFunction
kappa: MetricFunction
informedness: MetricFunction
markedness: MetricFunction
fowlkes_mallows: MetricFunction
prevalence_threshold: MetricFunction
volumetric_similarity: MetricFunction
volume_difference: MetricFunction
absolute_volume_difference: MetricFunction
mean_iou: MetricFunction
generalized_dice: MetricFunction
tp: MetricFunction
fp: MetricFunction
fn: MetricFunction
tn: MetricFunction
variation_of_information: MetricFunction
vi_split: MetricFunction
vi_merge: MetricFunction
adapted_rand_error: MetricFunction
adapted_rand_precision: MetricFunction
adapted_rand_recall: MetricFunction
rand_index: MetricFunction
adjusted_rand_index: MetricFunction
mutual_information: MetricFunction
multiclass_mcc: MetricFunction
multiclass_kappa: MetricFunction
seg: MetricFunction
det: MetricFunction
pq: MetricFunction
sq: MetricFunction
rq: MetricFunction
f1: MetricFunction
object_precision: MetricFunction
object_recall: MetricFunction
average_precision: MetricFunction
dsb_score: MetricFunction
mean_matched_score: MetricFunction
mean_true_score: MetricFunction
centroid_f1: MetricFunction
centroid_precision: MetricFunction
centroid_recall: MetricFunction
aji: MetricFunction
aji_plus: MetricFunction
dice2: MetricFunction
object_dice: MetricFunction
jaccard_sparse: MetricFunction
splits: MetricFunction
merges: MetricFunction
missed: MetricFunction
spurious: MetricFunction
ctc_ns: MetricFunction
ctc_fn: MetricFunction
ctc_fp: MetricFunction
jaccard_binary: MetricFunction
jaccard_binary_sparse: MetricFunction
hausdorff: MetricFunction
assd: MetricFunction
masd: MetricFunction
asd: MetricFunction
mhd: MetricFunction
nemhd: MetricFunction
nsd: MetricFunction
average_hausdorff: MetricFunction
object_hausdorff: MetricFunction
boundary_iou: MetricFunction
boundary_iou_euclidean: MetricFunction
unmatched_objects: MetricFunction
cldice: MetricFunction
topological_precision: MetricFunction
topological_sensitivity: MetricFunction
betti_error: MetricFunction
euler_error: MetricFunction
brier: MetricFunction
nll: MetricFunction
hinge: MetricFunction
ece: MetricFunction
mce: MetricFunction
ace: MetricFunction
average_calibration_error: MetricFunction
auroc: MetricFunction
auprc: MetricFunction
best_dice: MetricFunction
best_iou: MetricFunction
