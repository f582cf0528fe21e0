"""What it costs this customer, in cents."""

TAX_PERCENT = {"AT": 20, "DE": 19, "FR": 20}


def discount(cents, quantity):
    return cents * quantity * 95 // 100 if quantity >= 3 else cents * quantity


def tax(cents, country):
    return cents * TAX_PERCENT[country] // 100


def shipping(cents):
    return 0 if cents > 5000 else 490


def as_text(cents):
    return f"{cents // 100}.{cents % 100:02}"
