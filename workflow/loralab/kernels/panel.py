"""The innermost loop of a product, in LLVM's terms: Numba has no vectors that stay in registers."""

from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core.cgutils import unpack_tuple
from numba.extending import intrinsic, overload

from loralab.kernels import strips
from loralab.kernels.strips import PANEL, STRIP

LANES = 16  # numbers of a vector: of float32 as many as AVX-512 computes at a time

Matrix = Sequence[ir.Value]  # as `strips.py` has it
Vectors = list[list[ir.Value]]  # of each row

_INTEGER, _FEW_BITS, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
_READ, _TO_SECOND_CACHE, _DATA = (ir.Constant(_FEW_BITS, number) for number in (0, 2, 1))


class _Code:
    """Instructions on vectors of such numbers, put down by a builder."""

    def __init__(self, builder: ir.IRBuilder, number: ir.Type):
        self.builder = builder
        self.vector = ir.VectorType(number, LANES)
        name = f"v{LANES}f{32 if isinstance(number, ir.FloatType) else 64}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self._fma = builder.module.declare_intrinsic(f"llvm.fma.{name}", (), kind)
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), *[_FEW_BITS] * 3])
        self._prefetch = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)

    def at(self, array: ir.Value, place: ir.Value | int, step: ir.Value | int = 1) -> ir.Value:
        place, step = (_INTEGER(e) if isinstance(e, int) else e for e in (place, step))
        return self.builder.gep(array, [self.builder.mul(place, step)])

    def row(self, matrix: Matrix, row: ir.Value | int) -> ir.Value:
        array, step = matrix
        return self.at(array, row, step)

    def vectors_at(self, array: ir.Value) -> list[ir.Value]:
        """The addresses of the vectors of a row of a strip, or of y."""
        places = (self.at(array, column) for column in range(0, STRIP, LANES))
        return [self.builder.bitcast(place, self.vector.as_pointer()) for place in places]

    def load(self, array: ir.Value) -> list[ir.Value]:
        return [self.builder.load(place, align=4) for place in self.vectors_at(array)]

    def store(self, vectors: list[ir.Value], array: ir.Value) -> None:
        for vector, place in zip(vectors, self.vectors_at(array), strict=True):
            self.builder.store(vector, place, align=4)

    def spread(self, number: ir.Value) -> ir.Value:
        """A vector of one number."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(nothing, number, _FEW_BITS(0))
        lanes = ir.Constant(ir.VectorType(_FEW_BITS, LANES), [0] * LANES)
        return self.builder.shuffle_vector(one, nothing, lanes)

    def multiply_add(self, one: ir.Value, other: ir.Value, total: ir.Value) -> ir.Value:
        return self.builder.call(self._fma, [one, other, total])

    def add(self, some: list[ir.Value], others: list[ir.Value]) -> list[ir.Value]:
        return [self.builder.fadd(*pair) for pair in zip(some, others, strict=True)]

    def fetch(self, array: ir.Value) -> None:
        address = self.builder.bitcast(array, _BYTE.as_pointer())
        self.builder.call(self._prefetch, [address, _READ, _TO_SECOND_CACHE, _DATA])

    def loop(
        self, count: ir.Value, before: Vectors, body: Callable[[ir.Value, Vectors], Vectors]
    ) -> Vectors:
        """`body` of each place below a count, at least once, and of the sums so far.

        LLVM is kept from unrolling it, for which the registers do not suffice.
        """
        b = self.builder
        entry, loop = b.block, b.append_basic_block("depth")
        b.branch(loop)
        b.position_at_end(loop)
        place = b.phi(_INTEGER)
        place.add_incoming(_INTEGER(0), entry)
        sums = [[b.phi(self.vector) for _ in row] for row in before]
        after = body(place, sums)
        following = b.add(place, _INTEGER(1))
        place.add_incoming(following, loop)
        for row, first, then in zip(sums, before, after, strict=True):
            for total, *values in zip(row, first, then, strict=True):
                for value, block in zip(values, (entry, loop), strict=True):
                    total.add_incoming(value, block)
        end = b.append_basic_block("sums")
        back = b.cbranch(b.icmp_signed("<", following, count), loop, end)
        back.set_metadata("llvm.loop", _never_unrolled(b.module))
        b.position_at_end(end)
        return after


def _never_unrolled(module: ir.Module) -> ir.values.MDValue:
    """What LLVM knows a loop by: a node that names itself, and what is said of it."""
    said = module.add_metadata(["llvm.loop.unroll.disable"])
    node = ir.values.MDValue(module, (), name=str(len(module.metadata)))
    node.operands = (node, said)
    return node


def _build_panel(
    builder: ir.IRBuilder,
    count: int,
    depth: ir.Value,
    x: Matrix,
    strip: Matrix,
    start: Matrix,
    y: Matrix,
    ahead: Matrix,
) -> None:
    """`multiply_panel` for a known number of rows, whose sums stay in registers."""
    x, x_step, x_depth_step = x
    code = _Code(builder, x.type.pointee)
    rows = [code.at(x, row, x_step) for row in range(count)]

    def add_products(place: ir.Value, sums: Vectors) -> Vectors:
        code.fetch(code.row(ahead, place))
        weights = code.load(code.row(strip, place))
        after = []
        for row, totals in zip(rows, sums, strict=True):
            number = code.spread(builder.load(code.at(row, place, x_depth_step)))
            after.append([code.multiply_add(number, *e) for e in zip(weights, totals, strict=True)])
        return after

    zero = ir.Constant(code.vector, [ir.Constant(code.vector.element, 0.0)] * LANES)
    nothing = [[zero] * (STRIP // LANES) for _ in rows]
    for row, sums in enumerate(code.loop(depth, nothing, add_products)):
        present = code.load(code.row(start, row))
        code.store(code.add(present, sums), code.row(y, row))


@intrinsic
def _multiply_panel(context, count, depth, x, strip, start, y, ahead):
    def build(context, builder, signature, arguments):
        count, depth, *matrices = arguments
        matrices = [unpack_tuple(builder, matrix) for matrix in matrices]
        end = builder.append_basic_block("end")
        chosen = builder.switch(count, end)
        for rows in range(1, PANEL + 1):
            block = builder.append_basic_block(f"rows.{rows}")
            chosen.add_case(_INTEGER(rows), block)
            builder.position_at_end(block)
            _build_panel(builder, rows, depth, *matrices)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    number, size = x[0], types.int64
    matrix = types.Tuple([number, size])
    of_x = types.Tuple([number, size, size])
    return types.none(size, size, of_x, matrix, matrix, matrix, matrix), build


@overload(strips.multiply_panel)
def _of_any_count(count, depth, x, strip, start, y, ahead):
    def multiply(count, depth, x, strip, start, y, ahead):
        _multiply_panel(count, depth, x, strip, start, y, ahead)

    return multiply
