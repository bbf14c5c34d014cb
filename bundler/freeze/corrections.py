"""What is put right in llama.cpp's sources before they are compiled, where waiting for the next version would not do.

Each correction is one text for another in one file, and says what would be wrong, or how slow, without it. A version
in which the text is not found once is not compiled: whoever pins it learns here that the correction may have become
needless.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bundler.errors import StepFailed


@dataclass(frozen=True, slots=True)
class Correction:
    """`new` for `old` in `file`, a path inside llama.cpp's sources."""

    file: str
    old: str
    new: str


_TILES = Correction(
    "ggml/src/ggml-cpu/amx/mmq.cpp",
    "    _tile_loadconfig(&tc);\n",
    '    __asm__ volatile("" : : "r"(&tc) : "memory");\n    _tile_loadconfig(&tc);\n',
)
"""GCC 12's `_tile_loadconfig` tells the compiler of the first 8 of the 64 bytes that it reads, so the others are never
written, and the first prompt on a processor with AMX (Intel's Xeons since Sapphire Rapids) ends the process with an
illegal instruction. The empty statement reads them all."""

_ATTENTION = "ggml/src/ggml-cpu/ops.cpp"

_OTHERS_CELLS = Correction(
    _ATTENTION,
    """\
        for (int64_t ic = ic_start; ic < ic_end; ++ic) {
            const float mv = mp ? slope*GGML_CPU_FP16_TO_FP32(mp[ic]) : 0.0f;
""",
    """\
        for (int64_t ic = ic_start; ic < ic_end; ++ic) {
            for (uint64_t four; mp && ic + 4 <= ic_end; ic += 4) {
                memcpy(&four, mp + ic, sizeof(four));
                four ^= 0xFC00FC00FC00FC00ULL; // -INFINITY, four times
                if (four) {
                    ic += __builtin_ctzll(four)/16; // the first that is not; processors here are little-endian
                    break;
                }
            }
            if (ic == ic_end) {
                break;
            }
            const float mv = mp ? slope*GGML_CPU_FP16_TO_FP32(mp[ic]) : 0.0f;
""",
)
"""Attention looks at every cell of the pool for every token, layer and head, to find that nearly all belong to other
sequences. Looking at four at once and going to the next cell of one's own gives the same numbers, and with a model of
100 M parameters on two cores 1.2 times as many tokens a second for 8 clients, 1.4 for 32 (docs/benchmarks.md)."""

_SPARSE = Correction(
    _ATTENTION,
    """\
static void ggml_compute_forward_flash_attn_ext_tiled(
""",
    """\
static bool ggml_fa_tile_is_sparse(const ggml_tensor * mask, int iq1, int iq2, int iq3, int rows, int64_t n_kv) {
    static constexpr int KV_TILE_SZ = ggml_fa_tile_config::KV;

    const char * base = (const char *) mask->data + (iq2%mask->ne[2])*mask->nb[2] + (iq3%mask->ne[3])*mask->nb[3];

    int64_t seen     = 0; // of the cells of four of the rows,
    int64_t computed = 0; // and of those in tiles that would not be skipped
    for (int64_t ic = 0; ic + KV_TILE_SZ <= n_kv; ic += KV_TILE_SZ) {
        int seen_here = 0;
        for (int sample = 0; sample < 4; ++sample) {
            const ggml_fp16_t * mp = (const ggml_fp16_t *) (base + (iq1 + (rows - 1)*sample/3)*mask->nb[1]) + ic;
            for (int tk = 0; tk < KV_TILE_SZ; ++tk) {
                seen_here += mp[tk] != 0xFC00; // -INFINITY
            }
        }
        seen     += seen_here;
        computed += seen_here ? 4*KV_TILE_SZ : 0;
    }
    return 8*seen < computed;
}

static void ggml_compute_forward_flash_attn_ext_tiled(
""",
)
"""What the next one asks."""

_ROW_BY_ROW = Correction(
    _ATTENTION,
    """\
        GGML_ASSERT(tile_rows > 0);

""",
    """\
        GGML_ASSERT(tile_rows > 0);

        if (mask && ggml_fa_tile_is_sparse(mask, iq1, iq2, iq3, tile_rows, nek1)) {
            ggml_compute_params mine = *params; // with this thread's own scratch, as laid out below
            mine.ith   = 0;
            mine.wdata = (float *) params->wdata + ith*(Q_TILE_SZ*DK + 2*Q_TILE_SZ*KV_TILE_SZ + Q_TILE_SZ*DV + KV_TILE_SZ*DV + KV_TILE_SZ*DK + CACHE_LINE_SIZE_F32);
            ggml_compute_forward_flash_attn_ext_f16_one_chunk(&mine, dst, ir, ir + tile_rows, 0, nek1, nullptr, 0);
            ir += tile_rows;
            continue;
        }

""",  # noqa: E501
)
"""From 64 tokens in a batch on, attention is computed for 64 of them and all cells that any of them sees. Those of one
prompt see the same; of those of 64 clients each sees a 64th. Where less than an eighth of what would be computed is
seen, rows are computed one by one, as in smaller batches: with the same model 2.8 times as many tokens a second for 64
clients."""

_ONE_AFTER_THE_OTHER = Correction(
    _ATTENTION,
    """\
        float * partials, int64_t partial_stride) {
""",
    """\
        float * partials, int64_t partial_stride, bool one_after_the_other = false) {
""",
)
"""What the next but one asks for, where rows are counted by nobody else."""

_SAME_KEYS = Correction(
    _ATTENTION,
    """\
    for (int ir = ir0; ir < ir1; ++ir) {
        // q indices
        const int iq3 = ir/(neq2*neq1);
        const int iq2 = (ir - iq3*neq2*neq1)/neq1;
        const int iq1 = (ir - iq3*neq2*neq1 - iq2*neq1);
""",
    """\
    for (int ir = ir0; ir < ir1; ++ir) {
        // q indices
        const int iq3  = ir/(neq2*neq1);
        const int rest = ir - iq3*neq2*neq1;
        const int same = one_after_the_other ? rk2 : 1; // so many heads have the same keys
        const int iq1  = rest/same % neq1;
        const int iq2  = rest/(same*neq1)*same + rest % same;
""",
)
"""Which token and which head a row is: the heads that share keys and values come one after the other for each token."""

_FEWER_ROUNDS = Correction(
    _ATTENTION,
    """\
                ggml_compute_forward_flash_attn_ext_f16_one_chunk(params, dst, ir0, ir1, 0, nek1, nullptr, 0);
            }
""",
    """\
                ggml_compute_forward_flash_attn_ext_f16_one_chunk(params, dst, ir0, ir1, 0, nek1, nullptr, 0, true);
            }
""",
)
"""A head of all tokens, and then the next: where each token is of another sequence, its keys and values have left the
processor's caches when the next head with the same ones comes. For 32 clients of the same model with three heads to a
key (two cores with AVX2, sampled over 4,096 tokens) the dot products took 6 to 11 s of some 48, and take 4.1; with a
pool that is split among the slots they take 3.3 to 4.2, and that was what made it faster (docs/benchmarks.md)."""

_MASKED_TILES = Correction(
    _ATTENTION,
    """\
            // skip the tile entirely if all the masks are -inf
            if (mask) {
                bool can_skip = true;
""",
    """\
            // skip the tile entirely if all the masks are -inf
            bool is_masked = mask != nullptr;
            if (mask && kv_tile == KV_TILE_SZ) {
                uint64_t seen   = 0; // whether any is not -INFINITY,
                uint64_t masked = 0; // and whether any is not 0
                for (int tq = 0; tq < tile_rows; tq++) {
                    const ggml_fp16_t * mp_row = (const ggml_fp16_t *)((const char *) mask->data + (iq1 + tq)*mask->nb[1] + (iq2%mask->ne[2])*mask->nb[2] + (iq3%mask->ne[3])*mask->nb[3]);
                    for (int tk = 0; tk < KV_TILE_SZ; tk += 4) {
                        uint64_t four;
                        memcpy(&four, mp_row + ic + tk, sizeof(four));
                        seen   |= four ^ 0xFC00FC00FC00FC00ULL;
                        masked |= four;
                    }
                }
                if (!seen) {
                    continue;
                }
                is_masked = masked != 0;
            }
            if (is_masked) {
                bool can_skip = true;
""",  # noqa: E501
)
"""Of 64 tokens and 64 cells each mask is turned from F16 into F32 by a table, one by one, to find that nothing is seen,
or all of it: for a batch of 448 tokens beside a pool of 5,000 cells that was half of the time. Four at once tell both.
With the next but one, a prompt of 4,000 tokens is computed in 0.67 of the time by a model of 100 M parameters
(docs/benchmarks.md)."""

_MASKED_SCORES = Correction(
    _ATTENTION,
    """\
            if (mask) {
                ggml_vec_add_f32(tile_rows * KV_TILE_SZ, KQ, KQ, mask32);
""",
    """\
            if (is_masked) {
                ggml_vec_add_f32(tile_rows * KV_TILE_SZ, KQ, KQ, mask32);
""",
)
"""What the last one asks for."""

_PACKED_KEYS = Correction(
    _ATTENTION,
    """\
                    for (int64_t dk = 0; dk < DK; dk++) {
                        K_f32[dk * KV_TILE_SZ + tk] = GGML_CPU_FP16_TO_FP32(k_f16[dk]);
                    }
""",
    """\
                    ggml_cpu_fp16_to_fp32(k_f16, V32, DK); // values come there when the keys have been used
                    for (int64_t dk = 0; dk < DK; dk++) {
                        K_f32[dk * KV_TILE_SZ + tk] = V32[dk];
                    }
""",
)
"""Keys are turned into F32 one by one, too, by a table that is larger than a processor's first caches."""

_SME = Correction(
    "ggml/src/CMakeLists.txt",
    """\
            ggml_add_cpu_backend_variant(armv9.2_1    DOTPROD FP16_VECTOR_ARITHMETIC SVE MATMUL_INT8 SME)
            ggml_add_cpu_backend_variant(armv9.2_2    DOTPROD FP16_VECTOR_ARITHMETIC SVE MATMUL_INT8 SVE2 SME)
""",
    "",
)

WITHOUT_SME = (_SME,)
"""For compilers that know no SME, as GCC before 14: the other six variants for arm64 are compiled all the same, and the
processors that have it get the one for SVE2."""

_BY_THEMSELVES = Correction("ggml/src/CMakeLists.txt", "        add_dependencies(ggml ${backend})\n", "")
"""libggml needs no backend to be compiled, and whoever compiles it, or what needs it, would wait for all of them."""

CORRECTIONS = (
    _TILES,
    _OTHERS_CELLS,
    _SPARSE,
    _ROW_BY_ROW,
    _ONE_AFTER_THE_OTHER,
    _SAME_KEYS,
    _FEWER_ROUNDS,
    _MASKED_TILES,
    _MASKED_SCORES,
    _PACKED_KEYS,
    _BY_THEMSELVES,
)


def correct(sources: Path, log: Path, more: tuple[Correction, ...] = ()) -> None:
    """Put right what lies in `sources`, llama.cpp's own folder; `more` is what one machine or compiler asks for.

    Raises StepFailed where a text is not there once.
    """
    for correction in (*CORRECTIONS, *more):
        file = sources / correction.file
        text = file.read_text() if file.is_file() else ""
        if text.count(correction.old) != 1:
            raise StepFailed(
                "correcting llama.cpp's sources",
                f"{correction.file} is not as corrections.py expects it: look whether it still needs to be corrected",
                log,
            )
        file.write_text(text.replace(correction.old, correction.new))
