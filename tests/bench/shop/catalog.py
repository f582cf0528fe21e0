"""What is sold, and whether it is there."""

PRICES = {f"sku-{number}": 500 + 137 * number for number in range(50)}
STOCK = {sku: 3 + index % 7 for index, sku in enumerate(PRICES)}


def find(sku):
    if not known(sku):
        raise KeyError(sku)
    return sku


def known(sku):
    return sku in PRICES


def price_of(sku):
    return PRICES[sku]


async def in_stock(sku):
    return STOCK[sku] > 0
