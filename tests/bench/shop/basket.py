"""A basket and its lines."""

from catalog import find, in_stock, price_of
from pricing import as_text, discount, shipping, tax

ITEMS = [("sku-3", 1), ("sku-7", 2), ("sku-11", 4), ("sku-19", 1), ("sku-23", 3), ("sku-31", 1)]


class Basket:
    def __init__(self, customer, country):
        self.customer = customer
        self.country = country
        self.net = 0
        self.gross = 0

    def add(self, sku, quantity):
        net = discount(price_of(find(sku)), quantity)
        gross = net + tax(net, self.country)
        self.net += net
        self.gross += gross
        return self.line(sku, quantity, gross)

    def line(self, sku, quantity, gross):
        return {"sku": sku, "quantity": quantity, "gross": as_text(gross)}

    def total(self):
        return as_text(self.gross + shipping(self.gross))


async def quote(customer, country):
    basket = Basket(customer, country)
    lines = [basket.add(sku, quantity) for sku, quantity in ITEMS if await in_stock(sku)]
    return {"customer": customer, "lines": lines, "net": as_text(basket.net), "total": basket.total()}
