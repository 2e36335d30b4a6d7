"""Compiles the kernels by Numba, for this processor, to object code.

What Numba loads and makes takes 150 MB, so that `library.py` calls this in a process of its own.
"""

import math
from collections.abc import Callable

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import typing
from numba.extending import intrinsic, overload, register_jitable

from loralab.kernels import (  # noqa: F401 (they declare)
    adapters,
    attention,
    panel,
    passes,
    scalars,
    strips,
)
from loralab.kernels.declared import (
    HELPERS,
    KERNELS,
    OPENMP,
    Integers,
    Products,
    Whole,
    WholeProducts,
    Wide,
    argument_kinds,
    most_threads,
    of_share,
)

# Sums in any order, a product and a sum as one instruction; what is not finite stays so.
OPTIONS = {"error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
EXACT = {"error_model": "numpy", "fastmath": {"contract"}}  # every operation in its order
NUMBERS = {"bfloat16": types.uint16, "float32": types.float32, "float64": types.float64}
_GIVEN = types.CPointer(types.int64)
_thread_number, _thread_count = (
    types.ExternalFunction(name, typing.signature(types.int32)) for name in OPENMP
)

_features = llvm.get_host_cpu_features()
if _features.get("avx512f"):
    # LLVM prefers half of its width for a clock that newer processors keep anyway.
    numba.config.CPU_NAME = llvm.get_host_cpu_name()
    numba.config.CPU_FEATURES = f"{_features.flatten()},-prefer-256-bit"


def compile_kernels(products: str, wide: str) -> bytes:
    """All kernels as one object file, each under its name."""
    for name in OPENMP:
        llvm.add_symbol(name, 1)  # Numba links what it compiles; nothing is called here
    numbers = dict.fromkeys((Products, WholeProducts), NUMBERS[products])
    numbers |= dict.fromkeys((Wide, Whole), NUMBERS[wide]) | {Integers: types.int64}
    module = None
    for name, function in KERNELS.items():
        kinds = [numbers.get(kind) for kind in argument_kinds(function)]
        inlined = numba.njit(**OPTIONS)(function)
        if of_share(function):
            compiled = _over_share(inlined, kinds, most_threads(function))
        else:
            compiled = _over_rows(inlined, kinds)
        of_kernel = _callable_from_c(compiled, name)
        if module is None:
            module = of_kernel
        else:
            module.link_in(of_kernel)
    return _machine().emit_object(module)


def _machine() -> llvm.TargetMachine:
    return numba.core.registry.cpu_target.target_context.codegen()._tm


def _over_rows(of_row: Callable, kinds: list[types.Number | None]) -> Callable:
    """A thread's share of the rows; given are their count and what each argument needs."""
    arguments = _arguments(kinds)

    @numba.njit(types.void(_GIVEN), **OPTIONS)
    def run(given):
        thread, threads = _thread_number(), _thread_count()
        for row in range(given[0] * thread // threads, given[0] * (thread + 1) // threads):
            of_row(row, thread, *arguments(given, row))

    return run


def _over_share(of_rows: Callable, kinds: list[types.Number | None], most: int) -> Callable:
    """As `_over_rows`, for a kernel that takes all rows of a thread, in so many threads at most."""
    arguments = _arguments(kinds)

    @numba.njit(types.void(_GIVEN), **OPTIONS)
    def run(given):
        thread, shares = _thread_number(), min(_thread_count(), most)
        if thread < shares:
            first = given[0] * thread // shares
            count = given[0] * (thread + 1) // shares - first
            of_rows(first, count, thread, *arguments(given, first))

    return run


def _arguments(kinds: list[types.Number | None]) -> Callable:
    """What a kernel gets for a row: of each array its address and the bytes to the next row are
    given, an integer by itself, where there is no kind.
    """
    kind_of_all = types.Tuple(
        [types.int64 if kind is None else types.CPointer(kind) for kind in kinds]
    )

    @intrinsic
    def arguments(context, given, row):
        def build(context, builder, signature, values):
            given, row = values
            places = iter(range(1, 1 + 2 * len(kinds)))

            def following():
                place = context.get_constant(types.intp, next(places))
                return builder.load(builder.gep(given, [place]))

            built = []
            for kind in kinds:
                value = following()
                if kind is not None:
                    address = builder.add(value, builder.mul(row, following()))
                    value = builder.inttoptr(address, context.get_value_type(types.CPointer(kind)))
                built.append(value)
            return context.make_tuple(builder, kind_of_all, built)

        return kind_of_all(_GIVEN, types.int64), build

    return arguments


def _callable_from_c(compiled: Callable, name: str) -> llvm.ModuleRef:
    """The compiled function under a name, taking one address; nothing else stays.

    Numba's own functions take the places of a result and of an error before their arguments. Its
    wrapper for C would report errors by way of Python, which must not be there.
    """
    (overload,) = compiled.overloads.values()
    module = llvm.parse_assembly(overload.library.get_llvm_str())
    wrapper = f"""
        target triple = "{module.triple}"
        declare i32 @"{overload.fndesc.llvm_func_name}"(ptr, ptr, ptr)
        define void @"{name}"(ptr %given) {{
            %result = alloca ptr
            %error = alloca ptr
            call i32 @"{overload.fndesc.llvm_func_name}"(ptr %result, ptr %error, ptr %given)
            ret void
        }}"""
    module.link_in(llvm.parse_assembly(wrapper))
    for part in (*module.functions, *module.global_variables):
        if not part.is_declaration and part.name != name:
            part.linkage = "internal"
    cleaning = llvm.create_new_module_pass_manager()
    cleaning.add_global_dead_code_eliminate_pass()
    cleaning.run(
        module, llvm.create_pass_builder(_machine(), llvm.create_pipeline_tuning_options())
    )
    return module


@intrinsic
def _float_of_bits(context, bits):
    def cast(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), cast


@intrinsic
def _bits_of_float(context, number):
    def cast(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), cast


@intrinsic
def _moved(context, array, place):
    def move(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return array(array, types.int64), move


@overload(scalars.at)
def _at(array, place):
    return lambda array, place: _moved(array, place)


@overload(scalars.wide, jit_options=OPTIONS)
def _wide(number):
    if number is types.uint16:
        return lambda number: _float_of_bits(np.uint32(number) << np.uint32(16))
    return lambda number: number


@overload(scalars.put, jit_options=EXACT)
def _put(array, place, number):
    if array.dtype is not types.uint16:

        def put_itself(array, place, number):
            array[place] = number

        return put_itself

    def put_rounded(array, place, number):
        bits = _bits_of_float(number)
        half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))  # to even
        rounded = np.uint32(bits + half) >> np.uint32(16)
        array[place] = np.uint16(rounded if number == number else np.uint32(0x7FC0))

    return put_rounded


@overload(scalars.like, jit_options=OPTIONS)
def _like(number, constant):
    if number is types.float32:
        return lambda number, constant: np.float32(constant)
    return lambda number, constant: np.float64(constant)


@overload(scalars.greater, jit_options={"fastmath": {"nnan", "nsz"}})
def _greater(one, other):
    return lambda one, other: one if one > other else other


_LOG2E = np.float32(math.log2(math.e))
_LN2 = np.float32(0.693359375)  # of few bits: its products with small integers are exact
_LN2_REST = np.float32(math.log(2) - 0.693359375)
_INTEGERS = np.float32(1.5 * 2**23)  # float32 numbers of this size are integers
_TERMS = tuple(np.float32(1 / math.factorial(power)) for power in range(8))


@overload(scalars.exp, jit_options=EXACT)
def _exp(number):
    if number is not types.float32:
        return lambda number: math.exp(number)

    def exp_of_float32(number):
        """2ⁿ·eʳ, n the integer nearest to number / ln 2, |r| < 0.35, by the terms of its series."""
        least, most = np.float32(-87), np.float32(89)  # of which 2¹²⁸ is infinite
        bounded = least if number < least else (most if number > most else number)
        shifted = bounded * _LOG2E + _INTEGERS
        n = shifted - _INTEGERS
        r = (bounded - n * _LN2) - n * _LN2_REST
        power = _TERMS[7] * r + _TERMS[6]
        power = power * r + _TERMS[5]
        power = power * r + _TERMS[4]
        power = power * r + _TERMS[3]
        power = power * r + _TERMS[2]
        power = power * r + _TERMS[1]
        power = power * r + _TERMS[0]
        exponent = np.uint32(_bits_of_float(shifted) + np.uint32(127))
        return power * _float_of_bits(np.uint32(exponent << np.uint32(23)))

    return exp_of_float32


for _helper in HELPERS:
    register_jitable(**OPTIONS)(_helper)
