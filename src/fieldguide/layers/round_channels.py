"""How the mobile families round channel counts."""


def round_channels(channels: float, *, divisor: int = 8) -> int:
    """Return the multiple of ``divisor`` nearest to ``channels``, but not below 90 % of it, nor ``divisor``.

    Source: MobileNetV2's reference code, https://github.com/tensorflow/models/tree/master/research/slim
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
