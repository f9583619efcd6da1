"""How people call the fields and values of an application for a place code. Templates translate them."""

from typing import Final

FIELDS: Final = {
    "place": "For which place",
    "name": "Place name",
    "kind": "Place type",
    "body": "Name of the body that runs it",
    "certificate_kind": "Kind of certificate",
    "certificate": "Certificate number",
    "applicant": "Applicant's name",
    "id_number": "Applicant's ID number",
    "phone": "Applicant's phone",
    "division": "Division code",
    "province": "Province",
    "city": "City",
    "district": "District or county",
    "township": "Township or street",
    "latitude": "Latitude",
    "longitude": "Longitude",
    "address": "Detailed address",
    "people_limit": "People at once",
    "commitment": "Commitment",
}
"""In the order of the form."""

KINDS: Final = {
    "medical": "Medical institution",
    "prison": "Prison",
    "civil_affairs": "Civil affairs (care home, …)",
    "campus": "Campus",
    "farm_market": "Farm produce market",
    "mall": "Mall or supermarket",
    "restaurant": "Restaurant",
    "exhibition": "Exhibition",
    "tourism": "Tourist site",
    "culture": "Culture venue",
    "sports": "Sports venue",
    "hotel": "Hotel",
    "station": "Station or wharf",
    "transport": "Transport",
    "park": "Park",
    "community": "Community",
    "company": "Company",
    "pharmacy": "Pharmacy",
    "village": "Village",
    "other": "Other",
}
"""By the names of `protocol.terms.PlaceKind`."""

CERTIFICATES: Final = {
    "credit_code": "Unified social credit code",
    "registration": "Business registration number",
    "id_card": "ID number",
}
"""By the names of `protocol.terms.CertificateKind`."""

STATES: Final = {"asked": "waiting for the platform", "issued": "issued", "refused": "refused by the platform"}
"""By the names of `hub.store.place_ports.ApplicationState`."""
